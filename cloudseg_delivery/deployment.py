"""The environment of a delivery: reads its state, waits for it, and pauses and resumes its DAG."""

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
    """An environment, with the clients that read and change it."""

    target: Target
    programs: Programs
    composer: Composer
    bucket: Bucket
    airflow: Airflow
    patience: Patience

    @classmethod
    def open(cls, target: Target, programs: Programs, patience: Patience) -> Deployment:
        """Read an environment's configuration, and create its clients.

        Args:
            target: The environment.
            programs: Runs gcloud.
            patience: Time limits.

        Raises:
            DeliveryRefusedError: The environment does not exist, or is being changed.
        """
        composer = Composer(programs, target)
        environment = composer.describe()
        airflow = Airflow(
            environment.airflow_url,
            lambda: programs.query("gcloud", "auth", "print-access-token"),
            patience_seconds=patience.parse_seconds,
            pause_seconds=min(5.0, patience.poll_seconds),
        )
        return cls(target, programs, composer, Bucket(programs, environment.bucket), airflow, patience)

    def state(self, *, take_over: bool) -> State:
        """Return the environment's state.

        Args:
            take_over: Proceed although another delivery seems to be in progress.

        Raises:
            DeliveryRefusedError: Another delivery is in progress.
        """
        state = self.bucket.read_state()
        begun = ", ".join(state.tried)
        if state.under_way(time.time()) and not take_over:
            raise DeliveryRefusedError(
                f"a delivery of {begun} to {self.target.name} has started and not ended: wait for it, or if it was "
                "killed, deliver with TAKE_OVER=1"
            )
        if begun:
            self.programs.report(f"• an earlier delivery of {begun} was not completed: its files count as cloudseg's")
        return state

    def kept(self, names: Iterable[str]) -> list[Release]:
        """Return the records of these releases, without those that the bucket does not have."""
        return [release for name in names if (release := self.bucket.read_release(name)) is not None]

    def settled(self) -> Environment:
        """Wait until Composer has applied pending changes, and return the environment's configuration.

        Raises:
            DeliveryError: The environment is not RUNNING within `patience.change_seconds`.
        """
        return self.composer.settle(self.patience.change_seconds, self.patience.poll_seconds)

    def pause(self, begun: State, seconds: float) -> State:
        """Pause the DAG while no run is active, so that no run spans two releases.

        A DAG that is already paused stays so, without waiting: none of its tasks starts.

        Args:
            begun: The state of this delivery; the new state is written before the DAG is paused.
            seconds: How long to wait for running DAG runs to end.

        Returns:
            The new state.

        Raises:
            DeliveryRefusedError: A run did not end in time; the DAG is unchanged.
        """
        dag = self.airflow.dag()
        if dag is None or dag["is_paused"]:
            return begun
        deadline = time.monotonic() + seconds
        while True:
            self._await_idle(deadline)
            if self.programs.dry_run:
                self.programs.report("  would pause the DAG during the delivery")
                return begun
            held = self.pause_now(begun)
            idle = False
            try:
                idle = not self.airflow.unfinished_runs()
            finally:
                # A run has started meanwhile, or the query failed. It could not end while the DAG is paused.
                if not idle:
                    self.airflow.set_paused(False)
                    self.bucket.write_state(begun)
            if idle:
                return held

    def pause_now(self, begun: State) -> State:
        """Pause the DAG without waiting, and return the new state; active runs continue when it is resumed."""
        held = replace(begun, held=True)
        self.bucket.write_state(held)
        self.airflow.set_paused(True)
        return held

    def resume(self, state: State) -> None:
        """Unpause the DAG if a delivery has paused it."""
        if state.held and not self.programs.dry_run:
            self.airflow.set_paused(False)

    def _await_idle(self, deadline: float) -> None:
        while runs := ", ".join(self.airflow.unfinished_runs()):
            self.programs.report(f"• waiting for {runs} to end")
            if self.programs.dry_run:
                return
            if time.monotonic() > deadline:
                raise DeliveryRefusedError(
                    f"{runs} is still running in {self.target.name} and would span two releases. Nothing was "
                    "changed: deliver again once it has ended"
                )
            time.sleep(self.patience.poll_seconds)
