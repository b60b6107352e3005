"""The environment of a delivery, and the conditions for changing it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cloudseg_delivery.airflow import Airflow
from cloudseg_delivery.bucket import Bucket
from cloudseg_delivery.composer import Composer, Environment
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.records import Release, State
from cloudseg_delivery.smoke import Patience
from cloudseg_delivery.targets import Target
from cloudseg_ops.contracts.errors import DeliveryRefusedError


@dataclass(frozen=True, slots=True)
class Deployment:
    """An environment, with the clients that change it."""

    target: Target
    programs: Programs
    composer: Composer
    bucket: Bucket
    airflow: Airflow
    patience: Patience

    @classmethod
    def open(cls, target: Target, programs: Programs, patience: Patience) -> Deployment:
        """Read an environment's state.

        Raises:
            DeliveryRefusedError: It does not exist, or is being changed.
        """
        composer = Composer(programs, target)
        environment = composer.describe()
        airflow = Airflow(
            environment.airflow_url,
            lambda: programs.ask("gcloud", "auth", "print-access-token"),
            patience_seconds=patience.parse_seconds,
            pause_seconds=min(5.0, patience.poll_seconds),
        )
        return cls(target, programs, composer, Bucket(programs, environment.bucket), airflow, patience)

    def state(self, *, take_over: bool) -> State:
        """Read the environment's state.

        Args:
            take_over: Go on although another delivery seems to be under way.

        Raises:
            DeliveryRefusedError: One is.
        """
        state = self.bucket.read_state()
        begun = ", ".join(state.tried)
        if state.under_way(time.time()) and not take_over:
            raise DeliveryRefusedError(
                f"a delivery of {begun} to {self.target.name} has begun and not ended: wait for it. If it was killed, "
                "say so: TAKE_OVER=1"
            )
        if begun:
            self.programs.tell(f"• {begun} was begun earlier and came to no good end: its files count as ours")
        return state

    def kept(self, names: Iterable[str]) -> list[Release]:
        """The records of these releases, as far as the bucket has them."""
        return [release for name in names if (release := self.bucket.read_release(name)) is not None]

    def settled(self) -> Environment:
        """The environment, once Composer has finished its current operation.

        Raises:
            DeliveryError: It is not within the patience.
        """
        return self.composer.settle(self.patience.change_seconds, self.patience.poll_seconds)

    def pause(self, begun: State, seconds: float) -> State:
        """Pause the DAG when no run is active, so that no run uses two releases.

        One that is paused already is left so, and is not waited for: no task of it begins.

        Args:
            begun: The state of this delivery; what becomes of it is written down before the DAG is paused.
            seconds: How long a run that goes on is waited for.

        Returns:
            The state.

        Raises:
            DeliveryRefusedError: One goes on for longer; the DAG is as it was.
        """
        dag = self.airflow.dag()
        if dag is None or dag["is_paused"]:
            return begun
        deadline = time.monotonic() + seconds
        while True:
            self._await_idle(deadline)
            if self.programs.dry_run:
                self.programs.tell("  would pause the DAG meanwhile")
                return begun
            held = self.hold_now(begun)
            idle = False
            try:
                idle = not self.airflow.unfinished_runs()
            finally:
                # One has begun in between, or nobody knows; while the DAG is paused, it would not end.
                if not idle:
                    self.airflow.set_paused(False)
                    self.bucket.write_state(begun)
            if idle:
                return held

    def hold_now(self, begun: State) -> State:
        """Pause the DAG even during a run, which continues when the DAG is unpaused."""
        held = replace(begun, held=True)
        self.bucket.write_state(held)
        self.airflow.set_paused(True)
        return held

    def resume(self, state: State) -> None:
        """Unpause the DAG, if it was a delivery that has paused it."""
        if state.held and not self.programs.dry_run:
            self.airflow.set_paused(False)

    def _await_idle(self, deadline: float) -> None:
        while runs := ", ".join(self.airflow.unfinished_runs()):
            self.programs.tell(f"• waiting for {runs} to end")
            if self.programs.dry_run:
                return
            if time.monotonic() > deadline:
                raise DeliveryRefusedError(
                    f"{runs} goes on in {self.target.name}, and would have to do with two releases. Nothing was "
                    "changed: deliver again once it has ended"
                )
            time.sleep(self.patience.poll_seconds)
