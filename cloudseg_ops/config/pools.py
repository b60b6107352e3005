"""The Airflow pool that bounds the chunks at once: what it is, and the command that makes it."""

from __future__ import annotations

from typing import Any

DESCRIPTION = "Chunks at once, deferred ones included"


def pool_fields(slots: int, description: str = DESCRIPTION) -> dict[str, Any]:
    """A pool in the terms of Airflow's REST API.

    Deferred tasks count: the pod of such a task holds a GPU like any other.

    Args:
        slots: Chunks at once.
        description: As the Airflow UI shows it.
    """
    return {"slots": slots, "description": description, "include_deferred": True}


def pool_command(name: str, slots: int) -> list[str]:
    """Airflow's command that creates the pool, or sets its slots.

    Args:
        name: The pool.
        slots: Chunks at once.
    """
    fields = pool_fields(slots)
    return ["airflow", "pools", "set", name, str(fields["slots"]), fields["description"], "--include-deferred"]
