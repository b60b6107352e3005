"""The Airflow pool that bounds the chunks at once: what it is, and the commands that make it."""

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
    return ["airflow", "pools", "set", *_arguments(name, slots)]


def composer_pool_command(
    environment: str, location: str, name: str, slots: int, *, project: str | None = None
) -> list[str]:
    """The same on a Composer environment, through gcloud.

    Args:
        environment: Name of the Composer environment.
        location: Its region.
        name: The pool.
        slots: Chunks at once.
        project: Its project; None: the one that gcloud is set to.
    """
    where = [environment, "--location", location, *(["--project", project] if project else [])]
    return ["gcloud", "composer", "environments", "run", *where, "pools", "set", "--", *_arguments(name, slots)]


def _arguments(name: str, slots: int) -> list[str]:
    fields = pool_fields(slots)
    return [name, str(fields["slots"]), fields["description"], "--include-deferred"]
