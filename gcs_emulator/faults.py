"""Latency and faults that tests can inject.

A fault applies to the first calls that match it and then expires. Status faults also apply to the individual calls in
a batch; cut connections and latency apply to the batch as a whole.
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
    """A fault to inject.

    Attributes:
        action: ``status`` returns ``status`` without executing the call; ``cut_before`` cuts the connection without
            executing the call; ``cut_within`` executes it and cuts the connection after the beginning of the response
            body; ``cut_after`` executes it and cuts the connection without a response.
        method: the HTTP method; empty matches any.
        path: a regular expression, searched in the decoded path and query (``/storage/v1/b/x/o/a b?generation=1``).
        status: the status code of a ``status`` fault.
        times: number of matching calls to which the fault applies.
        skip: number of matching calls that pass first.
    """

    action: Action = "status"
    method: str = ""
    path: str = ""
    status: int = 503
    times: int = 1
    skip: int = 0

    @classmethod
    def of(cls, described: dict[str, Any]) -> Fault:
        """Create a fault from JSON.

        Raises:
            ApiError: 400 if a key or value is invalid; the message names it.
        """
        try:
            fault = cls(**described)
            re.compile(fault.path)
        except (TypeError, re.error) as error:
            raise ApiError(400, f"Invalid fault {described!r}: {error}.") from error
        if fault.action not in get_args(Action):
            raise ApiError(400, f"Unknown action {fault.action!r}: expected one of {get_args(Action)}.")
        if not all(isinstance(number, int) for number in (fault.status, fault.times, fault.skip)):
            raise ApiError(400, f"Invalid fault {described!r}: status, times and skip must be integers.")
        return fault


@dataclass
class _Planned:
    fault: Fault
    left: int
    skip: int


class FaultPlan:
    """The active faults; thread-safe."""

    def __init__(self, latency: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._initial_latency = latency
        self.latency = latency
        """Seconds by which every request is delayed."""

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._planned.append(_Planned(fault, fault.times, fault.skip))

    def clear(self) -> None:
        """Switch all faults off, and reset the latency to its initial value."""
        with self._lock:
            self._planned.clear()
            self.latency = self._initial_latency

    def pending(self) -> list[dict[str, Any]]:
        """Return the faults that have not expired."""
        with self._lock:
            return [asdict(plan.fault) | {"times": plan.left, "skip": plan.skip} for plan in self._planned]

    def take(self, method: str, target: str, *, only_status: bool = False) -> Fault | None:
        """Return the fault that applies to a call, if any, and count its use.

        Args:
            method: the call's HTTP method.
            target: the call's decoded path and query.
            only_status: consider only ``status`` faults.
        """
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
