"""The documentation of the DAG and of its tasks in the Airflow UI: one Markdown file each."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def help_text(name: str) -> str:
    """The text of the DAG (`dag`) or of a task (its id).

    Raises:
        FileNotFoundError: There is none.
    """
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
