"""A fake of Airflow's task instance."""

from __future__ import annotations

from typing import Any


class TaskInstance:
    """A fake task instance that records XComs and has numbers of tries."""

    def __init__(self, try_number: int = 1, max_tries: int = 2) -> None:
        self.try_number, self.max_tries = try_number, max_tries
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value
