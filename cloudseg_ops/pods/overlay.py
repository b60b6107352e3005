"""Lays a platform team's pod template over the engine's pod, much like Kubernetes' strategic merge patch.

Two things differ, to keep templates short: tolerations and `envFrom` are appended, where Kubernetes replaces them; and
a volume or variable that gets another source loses its first one, where Kubernetes would reject two sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from cloudseg_ops.config import pod_grammar as grammar
from cloudseg_ops.contracts.errors import PodTemplateError
from cloudseg_ops.pods.manifest import CONTAINER
from cloudseg_ops.pods.template import check_template, kind

MERGE_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""Merge key of each list field that is merged item by item (`x-kubernetes-patch-merge-key`)."""

# An item has exactly one source, so a source in the template replaces the pod's.
_ONE_SOURCE = frozenset({"volumes", "env"})
# Lists without a merge key, which a template extends instead of replacing them.
_APPENDED = frozenset({"tolerations", "envFrom"})


def overlay(pod: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `template` over `pod`: its values are added or replace the pod's, and a null removes a field.

    Args:
        pod: The engine's pod, as `pod_manifest` builds it.
        template: A partial pod.

    Returns:
        A new manifest, which shares no objects with either.

    Raises:
        PodTemplateError: The template is not a partial pod, or the result would no longer run the engine on its
            chunk, or cloudseg could not find it again.
    """
    check_template(template)
    merged: dict[str, Any] = _merge(pod, template, "")
    _check(pod, merged)
    return merged


def _merge(below: Any, above: Any, path: str) -> Any:
    if below is not None and _shape(below) is not _shape(above):
        raise PodTemplateError(
            f"the pod template has {kind(above)} at {path}, where the pod has {kind(below)}; correct it in "
            "CLOUDSEG_POD_TEMPLATE"
        )
    if isinstance(above, Mapping):
        return _merge_mappings(below or {}, above, path)
    if isinstance(above, list):
        return _merge_lists(below or [], above, path)
    return above


def _shape(value: Any) -> type | None:
    return next((shape for shape in (Mapping, list) if isinstance(value, shape)), None)


def _merge_mappings(below: Mapping[str, Any], above: Mapping[str, Any], path: str) -> dict[str, Any]:
    kept = {key: deepcopy(value) for key, value in below.items() if key not in above}
    laid = {
        key: _merge(below.get(key), value, f"{path}.{key}" if path else key)
        for key, value in above.items()
        if value is not None
    }
    # In the order of the pod, then of the template.
    return {key: laid.get(key, kept.get(key)) for key in (*below, *above) if key in laid or key in kept}


def _merge_lists(below: list[Any], above: list[Any], path: str) -> list[Any]:
    field = path.rpartition(".")[2]
    if key := MERGE_KEYS.get(field):
        return _merge_items(below, above, key, path, one_source=field in _ONE_SOURCE)
    fresh = [_merge(None, item, f"{path}[{index}]") for index, item in enumerate(above)]
    return [*deepcopy(below), *(item for item in fresh if item not in below)] if field in _APPENDED else fresh


def _merge_items(below: list[Any], above: list[Any], key: str, path: str, *, one_source: bool) -> list[Any]:
    merged = deepcopy(below)
    places = {item[key]: place for place, item in enumerate(below)}
    for item in above:
        name = item.get(key) if isinstance(item, Mapping) else None
        if not isinstance(name, str | int):
            raise PodTemplateError(
                f"the pod template has an item without {key!r} at {path}: {str(item)[:200]}; items there are merged by "
                f"{key!r}, so add it in CLOUDSEG_POD_TEMPLATE"
            )
        here = f"{path}[{name}]"
        if name not in places:
            merged.append(_merge(None, item, here))
            continue
        first = merged[places[name]]
        brings = {field for field, value in item.items() if value is not None}
        if one_source and brings - first.keys():
            first = {field: value for field, value in first.items() if field in brings}
        merged[places[name]] = _merge(first, item, here)
    return merged


def _check(pod: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
    names = sorted({*pod["metadata"]["labels"], *grammar.AIRFLOW_LABELS})
    before, after = _fixed(pod, names), _fixed(merged, names)
    changed = [place for place, value in before.items() if after[place] != value]
    if changed:
        raise PodTemplateError(
            f"the pod template changes {', '.join(changed)}, which cloudseg needs to run the engine and to find its "
            "pods; remove that from CLOUDSEG_POD_TEMPLATE"
        )
    _check_image(_engine(pod), _engine(merged))


def _check_image(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    image, policy = after.get("image"), after.get("imagePullPolicy")
    if image == before.get("image") and policy == before.get("imagePullPolicy"):
        return
    try:
        grammar.check_image(str(image), by_digest=policy != "Never")
    except ValueError as error:
        raise PodTemplateError(
            f"the pod template sets the image of {CONTAINER} to {image!r}, with the pull policy {policy}: {error}"
        ) from None


def _fixed(pod: Mapping[str, Any], labels: Iterable[str]) -> dict[str, Any]:
    metadata, spec, engine = pod.get("metadata", {}), pod.get("spec", {}), _engine(pod)
    return {
        **{field: pod.get(field) for field in ("apiVersion", "kind")},
        **{f"metadata.{field}": metadata.get(field) for field in ("name", "generateName", "namespace")},
        **{f"metadata.labels.{name}": metadata.get("labels", {}).get(name) for name in labels},
        "spec.restartPolicy": spec.get("restartPolicy"),
        **{f"spec.containers[{CONTAINER}].{field}": engine.get(field) for field in ("name", "command", "args")},
    }


def _engine(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = pod.get("spec", {}).get("containers", [])
    return next((container for container in containers if container["name"] == CONTAINER), {})
