"""The Airflow pool that limits how many chunks run concurrently, and the command that creates it."""

from __future__ import annotations

from typing import Any

DESCRIPTION = "Chunks at once, deferred ones included"


def pool_fields(slots: int, description: str = DESCRIPTION) -> dict[str, Any]:
    """Return the pool's fields for Airflow's REST API.

    Deferred tasks take a slot, since their pods use a GPU like any other.

    Args:
        slots: Maximum number of concurrent chunks.
        description: Description in the Airflow UI.
    """
    return {"slots": slots, "description": description, "include_deferred": True}


def pool_command(name: str, slots: int) -> list[str]:
    """Return the Airflow command that creates the pool or updates its slots.

    Args:
        name: Name of the pool.
        slots: Maximum number of concurrent chunks.
    """
    fields = pool_fields(slots)
    return ["airflow", "pools", "set", name, str(fields["slots"]), fields["description"], "--include-deferred"]
