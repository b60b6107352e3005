"""Reads a platform team's pod template, and finds fields that Kubernetes does not know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cloudseg_ops.contracts.errors import PodTemplateError

# Far more than any pod has; they stop YAML aliases that contain themselves or multiply.
_MAX_LEVELS = 40
_MAX_VALUES = 20_000


def load_template(source: str) -> dict[str, Any]:
    """Read a pod template.

    Args:
        source: Path of a YAML file, or the YAML itself (recognized by a line break, an opening brace or a colon before
            a space).

    Raises:
        PodTemplateError: There is no such file, or it does not hold a pod template.
    """
    inline = "\n" in source or ": " in source or source.lstrip().startswith("{")
    name = "the YAML in CLOUDSEG_POD_TEMPLATE" if inline else source
    try:
        template = yaml.safe_load(source if inline else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise PodTemplateError(
            f"the pod template {source}: {error.strerror}; set CLOUDSEG_POD_TEMPLATE to a YAML file that the workers "
            "can read"
        ) from None
    # PyYAML's own errors, and those of its constructors: `!!bool perhaps` raises a KeyError.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise PodTemplateError(f"the pod template is not YAML: {name}: {error}; correct it there") from None
    check_template(template, name)
    return dict(template)


def check_template(template: Any, name: str = "the pod template") -> None:
    """Check that a template is a mapping that can be written as JSON.

    Args:
        template: The parsed template.
        name: Where it was read, for the message.

    Raises:
        PodTemplateError: It is not; the message names the place.
    """
    if not isinstance(template, Mapping):
        raise PodTemplateError(
            f"{name} holds {kind(template)}; a pod template is a mapping, with `spec:` or `metadata:` at its top"
        )
    todo: list[tuple[str, Any, int]] = [("", template, 0)]
    seen = 0
    while todo:
        path, value, level = todo.pop()
        seen += 1
        if level > _MAX_LEVELS or seen > _MAX_VALUES:
            raise PodTemplateError(
                f"{name} has too many levels or values; look for an alias (`*…`) that repeats or contains itself"
            )
        problem = _problem(value)
        if problem:
            raise PodTemplateError(f"{name}: {path or 'its top'} {problem}")
        todo += [(below, item, level + 1) for below, item in _parts(path, value)]


def unknown_fields(given: Any, understood: Any, path: str = "") -> list[str]:
    """Return the fields of `given` that the Kubernetes client silently dropped.

    Args:
        given: A manifest.
        understood: The same manifest, read into the client's models and written out again.
        path: Path of both within the pod.

    Returns:
        Paths such as `spec.containers[0].resource`.
    """
    if isinstance(given, dict) and isinstance(understood, dict):
        found = []
        for key, value in given.items():
            here = f"{path}.{key}" if path else str(key)
            if key in understood:
                found += unknown_fields(value, understood[key], here)
            elif value not in (None, {}, []):
                found.append(here)
        return found
    if isinstance(given, list) and isinstance(understood, list):
        return [
            name
            for index, (one, other) in enumerate(zip(given, understood, strict=False))
            for name in unknown_fields(one, other, f"{path}[{index}]")
        ]
    return []


def kind(value: Any) -> str:
    """Describe a value in YAML's terms, such as `a mapping`."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__} ({str(value)[:60]!r})"


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{path}.{key}" if path else key, item
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item


def _problem(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next(filter(None, map(_key_problem, value)), None)
    if isinstance(value, list):
        return "has a null in a list; a null removes a field, not an item" if None in value else None
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number; put it in quotes, or take it out"
    known = value is None or isinstance(value, str | bool | int | float)
    return None if known else f"is {kind(value)}, which JSON cannot represent; put it in quotes"


def _key_problem(key: Any) -> str | None:
    if not isinstance(key, str):
        return f"has the key {key!r}, which YAML does not read as text; put it in quotes"
    if key.startswith("$"):
        return (
            f"has {key!r}: kubectl's directives are not supported here. To remove a field, set it to null; to change "
            "an item of a list, give one with the same name"
        )
    return None
