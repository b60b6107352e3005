"""The revisions that the DAG's trigger form offers: stored in an Airflow Variable, read when the DAG is parsed.

A parse must not call git. `pull_model` writes the Variable once it has a model, and so does
`cloudseg revisions --refresh`. The Variable is optional: if it is missing, invalid or of another registry, the form
offers the pinned revision, and still accepts any other.

To read a Variable, the DAG processor sends itself a request between two files. This takes 12 ms or more; the first
one after its start takes seconds, and 50 MB for an API within the processor. So a parse reads it at most every five
minutes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cloudseg_ops.contracts.revisions import OFFERED_BRANCHES, OFFERED_TAGS, is_address
from cloudseg_ops.registry import without_credentials
from cloudseg_ops.registry.ttl_file_cache import invalidate, ttl_file_cache

VARIABLE = "cloudseg_revisions"
DESCRIPTION = "Revisions that cloudseg's trigger form offers; written by pull_model and `cloudseg revisions --refresh`"
_FRESH_SECONDS = 300


def revision_choices(repository: str, pinned: str) -> list[str]:
    """Return the revisions that the form offers: the pinned one, then those in the Variable.

    Args:
        repository: Git URL or path of the registry.
        pinned: The form's default.
    """
    value = ttl_file_cache(_cache_path(repository), _FRESH_SECONDS, _read_variable) if _in_dag_processor() else ""
    return list(dict.fromkeys([pinned, *parse_value(value, repository)]))


def store_revisions(repository: str, revisions: Sequence[str]) -> None:
    """Store the revisions to offer, from within a task.

    Args:
        repository: Git URL or path of the registry.
        revisions: The revisions, in the order in which the form lists them.
    """
    from airflow.sdk import Variable

    Variable.set(VARIABLE, variable_value(repository, revisions), description=DESCRIPTION)
    invalidate_choices(repository)


def invalidate_choices(repository: str) -> None:
    """Make the DAG processor read the Variable at the next parse, if it runs on this machine, as on a laptop."""
    invalidate(_cache_path(repository))


def variable_value(repository: str, revisions: Sequence[str]) -> str:
    """Return the Variable's value: the revisions and their registry, without credentials, as JSON."""
    return json.dumps({"repository": without_credentials(repository), "revisions": list(revisions)})


def parse_value(value: str, repository: str) -> list[str]:
    """Return the revisions in a Variable's value; none if it is invalid or of another registry.

    Args:
        value: The Variable's value; empty if there is none.
        repository: Git URL or path of the registry.
    """
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict) or found.get("repository") != without_credentials(repository):
        return []
    revisions = found.get("revisions")
    named = filter(is_address, revisions) if isinstance(revisions, list) else ()
    return list(named)[: OFFERED_TAGS + OFFERED_BRANCHES]


def store_command(repository: str, revisions: Sequence[str]) -> list[str]:
    """Return the Airflow command that stores the revisions to offer."""
    return [
        "airflow",
        "variables",
        "set",
        VARIABLE,
        variable_value(repository, revisions),
        "--description",
        DESCRIPTION,
    ]


def _in_dag_processor() -> bool:
    """Return whether Airflow's DAG processor is parsing the file.

    A test, a script or a command would need a database to read a Variable. A worker parses the file for each task,
    but does not show a form.
    """
    from airflow.sdk import get_parsing_context

    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None and get_parsing_context().dag_id is None


def _read_variable() -> str:
    from airflow.sdk import Variable

    try:
        return str(Variable.get(VARIABLE, default=""))
    except Exception:
        logging.getLogger(__name__).warning("could not read the revisions for the trigger form", exc_info=True)
        return ""


def _cache_path(repository: str) -> Path:
    # On a laptop, several Airflow installations may share the machine.
    of = hashlib.sha256(f"{os.environ.get('AIRFLOW_HOME', '')}\n{repository}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"cloudseg-offered-{of}"
