"""Finds the fields of a manifest that a Kubernetes client does not know, and would silently drop."""

from __future__ import annotations

from typing import Any


def unknown_fields(given: Any, understood: Any, path: str = "") -> list[str]:
    """Name the fields of `given` that are missing in what the client made of it.

    Args:
        given: A manifest.
        understood: The same, read into the client's models and written out again.
        path: Where both lie, for the names.

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
