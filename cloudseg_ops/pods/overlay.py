"""Lays a platform team's pod template over the engine's pod, as Kubernetes' strategic merge patch does.

Of the merge keys of Kubernetes' API, those of a pod are known here: containers merge by `name`, mounts by `mountPath`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from cloudseg_ops.errors import PodTemplateError
from cloudseg_ops.pods.manifest import CONTAINER

# kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1: «patch strategy: merge on key …»
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
# Lists without a key, of which a template wants more rather than others.
_APPENDED = frozenset({"tolerations", "envFrom"})


def load_template(source: str) -> dict[str, Any]:
    """Read a template.

    Args:
        source: Path of a YAML file, or the YAML itself (recognized by a line break or an opening brace).

    Raises:
        PodTemplateError: There is no such file, or it holds no YAML mapping.
    """
    inline = "\n" in source or source.lstrip().startswith("{")
    name = "the YAML in CLOUDSEG_POD_TEMPLATE" if inline else source
    try:
        template = yaml.safe_load(source if inline else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise PodTemplateError(
            f"the pod template {source}: {error.strerror}; CLOUDSEG_POD_TEMPLATE names a YAML file that the workers see"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PodTemplateError(f"the pod template is no YAML: {name}: {error}") from None
    if not isinstance(template, dict):
        raise PodTemplateError(f"the pod template is no mapping, as a pod is: {name} holds {type(template).__name__}")
    return template


def overlay(pod: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `template` over `pod`: it adds and replaces, and a null removes.

    Args:
        pod: The engine's pod, as `pod_manifest` builds it.
        template: A part of a pod.

    Returns:
        A new manifest.

    Raises:
        PodTemplateError: The result would not run the engine on its chunk any more.
    """
    merged: dict[str, Any] = _merge(pod, template)
    _check(pod, merged)
    return merged


def _merge(below: Any, above: Any, field: str = "") -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        kept = {key: deepcopy(value) for key, value in below.items() if above.get(key, value) is not None}
        laid = {key: _merge(below.get(key), value, key) for key, value in above.items() if value is not None}
        return {**kept, **laid}
    if isinstance(below, list) and isinstance(above, list):
        if field in _APPENDED:
            return [*deepcopy(below), *(deepcopy(item) for item in above if item not in below)]
        if key := _MERGE_KEYS.get(field):
            return _merge_items(below, above, key)
    return deepcopy(above)


def _merge_items(below: list[Any], above: list[Any], key: str) -> list[Any]:
    merged = {item[key]: deepcopy(item) for item in below}
    for item in above:
        if not isinstance(item, Mapping) or key not in item:
            raise PodTemplateError(f"an item of the pod template has no {key!r}, by which it would be merged: {item}")
        merged[item[key]] = _merge(merged.get(item[key], {}), item)
    return list(merged.values())


def _check(pod: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
    kept = ("apiVersion", "kind")
    changed = [field for field in kept if merged.get(field) != pod[field]]
    changed += [
        f"metadata.{field}"
        for field in ("name", "namespace")
        if merged["metadata"].get(field) != pod["metadata"][field]
    ]
    changed += ["spec.restartPolicy"] * (merged["spec"].get("restartPolicy") != "Never")
    before, after = _engine(pod), _engine(merged)
    changed += [
        f"spec.containers[{CONTAINER}].{field}" for field in ("command", "args") if before[field] != after.get(field)
    ]
    changed += [
        f"metadata.labels.{name}"
        for name, value in pod["metadata"]["labels"].items()
        if merged["metadata"]["labels"].get(name) != value
    ]
    if changed:
        raise PodTemplateError(
            f"the pod template changes {', '.join(changed)}, by which cloudseg runs the engine and finds its pods; "
            "take that out of CLOUDSEG_POD_TEMPLATE"
        )


def _engine(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((container for container in pod["spec"]["containers"] if container["name"] == CONTAINER), {})
