"""A Composer environment through gcloud: its configuration, and the changes that a release makes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudseg_delivery.changes import Change, pairs_argument
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.targets import Target
from cloudseg_ops.contracts.errors import CommandFailedError, DeliveryError, DeliveryRefusedError


@dataclass(frozen=True, slots=True)
class Environment:
    """What Composer says of an environment.

    Attributes:
        bucket: Its bucket, `gs://…`.
        airflow_url: Address of its Airflow, without a slash at the end.
        packages: The PyPI packages added to it, and their pins.
        variables: The environment variables set on it.
    """

    bucket: str
    airflow_url: str
    packages: Mapping[str, str]
    variables: Mapping[str, str]


class Composer:
    """One Composer environment.

    Args:
        programs: By which gcloud is called.
        target: Which one.
    """

    def __init__(self, programs: Programs, target: Target) -> None:
        self._programs = programs
        self._target = target
        self._where = (target.composer, f"--project={target.project}", f"--location={target.location}")

    def describe(self) -> Environment:
        """Read its configuration.

        Raises:
            DeliveryRefusedError: It does not exist, or is being changed.
            CommandFailedError: gcloud failed.
        """
        found = self._look()
        if found.get("state") != "RUNNING":
            raise DeliveryRefusedError(
                f"the Composer environment {self._target.composer} is {found.get('state')}: it is being changed, or it "
                "is broken. Wait until it is RUNNING, then deliver again"
            )
        return _environment(found)

    def settle(self, seconds: float, poll_seconds: float) -> Environment:
        """Wait until it is RUNNING: a change continues in Composer after gcloud has timed out.

        Raises:
            DeliveryError: It is not within that time, or is not there.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if (found := self._look()).get("state") == "RUNNING":
                    return _environment(found)
                why = f"is {found.get('state')}"
            except CommandFailedError as error:
                why = f"cannot be asked: {error}"
            if time.monotonic() > deadline:
                raise DeliveryError(f"after {seconds:.0f} s the Composer environment {self._target.composer} {why}")
            time.sleep(poll_seconds)

    def _look(self) -> Mapping[str, Any]:
        words = ("gcloud", "composer", "environments", "describe", *self._where, "--format=json")
        if (said := self._programs.ask_for(*words)) is None:
            raise DeliveryRefusedError(
                f"the project {self._target.project} has no Composer environment {self._target.composer} in "
                f"{self._target.location}: correct deploy/environments/{self._target.name}.env, or create it first"
            )
        found: Mapping[str, Any] = json.loads(said)
        return found

    def change_packages(self, change: Change) -> None:
        """Add, repin and remove PyPI packages; other teams' packages stay. Composer takes about ten minutes."""
        # Not --update-pypi-packages-from-file: that takes away every package which the file does not name.
        words = [f"--update-pypi-package={name}{pin}" for name, pin in change.set.items()]
        if change.remove:
            words.append(f"--remove-pypi-packages={','.join(change.remove)}")
        self._update(*words)

    def change_variables(self, change: Change) -> None:
        """Set and remove environment variables; other teams' variables stay. Composer restarts Airflow."""
        # Values stay out of the log, which more people read than may see the environment.
        words = [f"--update-env-variables={pairs_argument(change.set)}"] if change.set else []
        told = [f"--update-env-variables={','.join(change.set)} (names alone)"] if change.set else []
        if change.remove:
            words.append(f"--remove-env-variables={','.join(change.remove)}")
            told.append(words[-1])
        self._update(*words, told=told)

    def restart_web_server(self) -> None:
        """Have the API server reload its plugins."""
        # Older versions of gcloud, 528 for one, have this command in beta alone; newer ones have it there as well.
        self._programs.do("gcloud", "beta", "composer", "environments", "restart-web-server", *self._where, aloud=True)

    def _update(self, *words: str, told: Sequence[str] = ()) -> None:
        call = ("gcloud", "composer", "environments", "update", *self._where)
        self._programs.do(*call, *words, told=[*call, *(told or words)], aloud=True)


def _environment(found: Mapping[str, Any]) -> Environment:
    config = found["config"]
    software = config.get("softwareConfig", {})
    dags = str(config["dagGcsPrefix"])
    if not dags.startswith("gs://") or not dags.endswith("/dags"):
        raise DeliveryError(f"the environment's DAG folder is {dags!r}, and not gs://BUCKET/dags as Composer has it")
    return Environment(
        bucket=dags.removesuffix("/dags"),
        airflow_url=str(config["airflowUri"]).rstrip("/"),
        packages=dict(software.get("pypiPackages", {})),
        variables=dict(software.get("envVariables", {})),
    )
