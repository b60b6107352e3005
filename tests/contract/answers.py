"""Reads responses that differ harmlessly between servers."""

from __future__ import annotations


def own_metadata(metadata: dict[str, str] | None) -> dict[str, str]:
    """Return what the caller set: storage-testbench adds its own keys."""
    return {k: v for k, v in (metadata or {}).items() if not k.startswith(("x_emulator_", "x_testbench_"))}
