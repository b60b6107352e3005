"""A stand-in for a task instance of Airflow's."""

from __future__ import annotations

from typing import Any


class TaskInstance:
    """What a task instance of Airflow's does here: it takes XComs and counts tries."""

    def __init__(self, try_number: int = 1, max_tries: int = 2) -> None:
        self.try_number, self.max_tries = try_number, max_tries
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value
