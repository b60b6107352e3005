"""An environment as a delivery finds it, and what has to hold before it is changed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from cloudseg_ops.delivery.airflow import Airflow
from cloudseg_ops.delivery.bucket import Bucket
from cloudseg_ops.delivery.composer import Composer
from cloudseg_ops.delivery.programs import Programs
from cloudseg_ops.delivery.records import Release, State
from cloudseg_ops.delivery.smoke import Patience
from cloudseg_ops.delivery.targets import Target
from cloudseg_ops.errors import DeliveryRefusedError


@dataclass(frozen=True, slots=True)
class Site:
    """An environment, and all by which it is changed."""

    target: Target
    programs: Programs
    composer: Composer
    bucket: Bucket
    airflow: Airflow
    patience: Patience

    @classmethod
    def open(cls, target: Target, programs: Programs, patience: Patience) -> Site:
        """Look at an environment.

        Raises:
            DeliveryRefusedError: It is not there, or is being changed by somebody.
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
        """Read where the environment stands.

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

    def await_idle(self, seconds: float) -> None:
        """Wait until no run of the DAG goes on: the smoke test's would wait behind it.

        Raises:
            DeliveryRefusedError: One goes on for longer.
        """
        deadline = time.monotonic() + seconds
        while runs := ", ".join(self.airflow.unfinished_runs()):
            self.programs.tell(f"• waiting for {runs} to end")
            if self.programs.dry_run:
                return
            if time.monotonic() > deadline:
                raise DeliveryRefusedError(
                    f"{runs} goes on in {self.target.name}, and a dry run would wait behind it. Nothing was changed: "
                    "deliver again once it has ended"
                )
            time.sleep(self.patience.poll_seconds)
