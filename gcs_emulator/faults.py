"""Slowness and failures that a test can switch on.

A fault hits the first calls that match it, then is used up. Status faults also hit the single calls inside a
batch; cut connections and latency belong to the connection, so they hit the batch as a whole.
"""

from __future__ import annotations

import re
import threading
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from .errors import ApiError

Action = Literal["status", "cut_before", "cut_within", "cut_after"]


@dataclass(frozen=True)
class Fault:
    """One planned failure.

    Attributes:
        action: ``status`` answers with ``status`` and does nothing; ``cut_before`` cuts the connection before the
            work is done; ``cut_within`` does the work, sends the beginning of the answer's body and cuts the
            connection; ``cut_after`` does the work, then cuts the connection without an answer.
        method: the HTTP method, or empty for any.
        path: a regular expression, searched in the decoded path and query (``/storage/v1/b/x/o/a b?generation=1``).
        status: the status code of a ``status`` fault.
        times: how many matching calls it hits.
        skip: how many matching calls it lets pass first.
    """

    action: Action = "status"
    method: str = ""
    path: str = ""
    status: int = 503
    times: int = 1
    skip: int = 0

    @classmethod
    def of(cls, described: dict[str, Any]) -> Fault:
        """Build one from JSON.

        Raises:
            ApiError: 400 that says which key or value is wrong.
        """
        try:
            fault = cls(**described)
            re.compile(fault.path)
        except (TypeError, re.error) as error:
            raise ApiError(400, f"No usable fault in {described!r}: {error}.") from error
        if fault.action not in get_args(Action):
            raise ApiError(400, f"Unknown action {fault.action!r}: expected one of {get_args(Action)}.")
        if not all(isinstance(number, int) for number in (fault.status, fault.times, fault.skip)):
            raise ApiError(400, f"No usable fault in {described!r}: status, times and skip are integers.")
        return fault


@dataclass
class _Planned:
    fault: Fault
    left: int
    skip: int


class FaultPlan:
    """The faults that are switched on; safe to use from any thread."""

    def __init__(self, latency: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._initial_latency = latency
        self.latency = latency
        """Seconds that every request waits before anything is done."""

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._planned.append(_Planned(fault, fault.times, fault.skip))

    def clear(self) -> None:
        """Switch all faults off, and set the latency back to what the emulator was started with."""
        with self._lock:
            self._planned.clear()
            self.latency = self._initial_latency

    def pending(self) -> list[dict[str, Any]]:
        """Return the faults that are not used up."""
        with self._lock:
            return [asdict(plan.fault) | {"times": plan.left, "skip": plan.skip} for plan in self._planned]

    def take(self, method: str, target: str, *, only_status: bool = False) -> Fault | None:
        """Return the fault that hits a call, if any, and count it."""
        if not self._planned:
            return None
        with self._lock:
            for plan in self._planned:
                fault = plan.fault
                if only_status and fault.action != "status":
                    continue
                if fault.method not in {"", method} or not re.search(fault.path, target):
                    continue
                if plan.skip > 0:
                    plan.skip -= 1
                    continue
                plan.left -= 1
                if plan.left <= 0:
                    self._planned.remove(plan)
                return fault
        return None
