"""The revisions that the DAG's trigger form offers: kept in an Airflow Variable, read when the DAG is parsed.

A parse must not ask git. `pull_model` writes the Variable once it has a model, and so does
`cloudseg revisions --refresh`. It is a comfort only: where it is missing, of another registry or no JSON, the form
offers the pinned revision and takes any other as ever.

To read a Variable is a request that the DAG processor makes of itself, between two files: 12 ms and more, and at the
first one after its start, seconds, and 50 MB for an API within it. So a parse reads it every five minutes at most.
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

from cloudseg_ops.contracts.revisions import OFFERED_BRANCHES, OFFERED_TAGS, is_revision
from cloudseg_ops.registry import without_credentials
from cloudseg_ops.registry.ttl_file_cache import invalidate, ttl_file_cache

VARIABLE = "cloudseg_revisions"
DESCRIPTION = "What cloudseg's trigger form offers; written by pull_model and `cloudseg revisions --refresh`"
_FRESH_SECONDS = 300


def revision_choices(repository: str, pinned: str) -> list[str]:
    """What the form offers: the pinned revision, then those that are kept.

    Args:
        repository: Git URL or path of the registry.
        pinned: The form's default.
    """
    value = ttl_file_cache(_memory(repository), _FRESH_SECONDS, _read_variable) if _in_dag_processor() else ""
    return list(dict.fromkeys([pinned, *read_kept(value, repository)]))


def keep_revisions(repository: str, revisions: Sequence[str]) -> None:
    """Keep what is to be offered, from within a task.

    Args:
        repository: Git URL or path of the registry.
        revisions: In the order in which they are to be offered.
    """
    from airflow.sdk import Variable

    Variable.set(VARIABLE, kept(repository, revisions), description=DESCRIPTION)
    forget_offer(repository)


def forget_offer(repository: str) -> None:
    """Have the DAG processor read the Variable at the next parse, where it is on this machine: on a laptop it is."""
    invalidate(_memory(repository))


def kept(repository: str, revisions: Sequence[str]) -> str:
    """The Variable's value: JSON that says of which registry the revisions are, without credentials."""
    return json.dumps({"repository": without_credentials(repository), "revisions": list(revisions)})


def read_kept(value: str, repository: str) -> list[str]:
    """The revisions in a Variable's value; none when it is no such value, or that of another registry.

    Args:
        value: The Variable; empty where there is none.
        repository: Git URL or path of the registry.
    """
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict) or found.get("repository") != without_credentials(repository):
        return []
    revisions = found.get("revisions")
    named = filter(is_revision, revisions) if isinstance(revisions, list) else ()
    return list(named)[: OFFERED_TAGS + OFFERED_BRANCHES]


def keep_command(repository: str, revisions: Sequence[str]) -> list[str]:
    """Airflow's command that keeps them."""
    return ["airflow", "variables", "set", VARIABLE, kept(repository, revisions), "--description", DESCRIPTION]


def _in_dag_processor() -> bool:
    """Whether this is a parse by Airflow's DAG processor.

    A test, a script or a command has nobody to ask but a database. A worker parses the file as well, for each task, and
    has no use for a form.
    """
    from airflow.sdk import get_parsing_context

    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None and get_parsing_context().dag_id is None


def _read_variable() -> str:
    from airflow.sdk import Variable

    try:
        return str(Variable.get(VARIABLE, default=""))
    except Exception:
        logging.getLogger(__name__).warning("the revisions to offer cannot be read", exc_info=True)
        return ""


def _memory(repository: str) -> Path:
    # Several Airflows may share a machine, on a laptop.
    of = hashlib.sha256(f"{os.environ.get('AIRFLOW_HOME', '')}\n{repository}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"cloudseg-offered-{of}"
