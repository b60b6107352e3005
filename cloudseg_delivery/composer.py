"""Reads and changes a Composer environment through gcloud."""

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
    """The configuration of a Composer environment.

    Attributes:
        bucket: The environment's bucket, `gs://…`.
        airflow_url: Base URL of Airflow, without a trailing slash.
        packages: Added PyPI packages, with their pins.
        variables: Environment variables set on the environment.
    """

    bucket: str
    airflow_url: str
    packages: Mapping[str, str]
    variables: Mapping[str, str]


class Composer:
    """A Composer environment.

    Args:
        programs: Runs gcloud.
        target: The environment.
    """

    def __init__(self, programs: Programs, target: Target) -> None:
        self._programs = programs
        self._target = target
        self._where = (target.composer, f"--project={target.project}", f"--location={target.location}")

    def describe(self) -> Environment:
        """Return the environment's configuration.

        Raises:
            DeliveryRefusedError: The environment does not exist, or is not RUNNING.
            CommandFailedError: gcloud failed.
        """
        found = self._describe()
        if found.get("state") != "RUNNING":
            raise DeliveryRefusedError(
                f"the Composer environment {self._target.composer} is {found.get('state')}: it is being changed or is "
                "broken. Wait until it is RUNNING, then deliver again"
            )
        return _environment(found)

    def settle(self, seconds: float, poll_seconds: float) -> Environment:
        """Wait until the environment is RUNNING, and return its configuration.

        A change continues in Composer even after gcloud has stopped waiting for it.

        Args:
            seconds: Time limit.
            poll_seconds: Time between two polls.

        Raises:
            DeliveryError: The environment does not exist, or is not RUNNING within the time limit.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if (found := self._describe()).get("state") == "RUNNING":
                    return _environment(found)
                why = f"is {found.get('state')}"
            except CommandFailedError as error:
                why = f"cannot be queried: {error}"
            if time.monotonic() > deadline:
                raise DeliveryError(f"after {seconds:.0f} s the Composer environment {self._target.composer} {why}")
            time.sleep(poll_seconds)

    def _describe(self) -> Mapping[str, Any]:
        arguments = ("gcloud", "composer", "environments", "describe", *self._where, "--format=json")
        if (output := self._programs.query_optional(*arguments)) is None:
            raise DeliveryRefusedError(
                f"the project {self._target.project} has no Composer environment {self._target.composer} in "
                f"{self._target.location}: correct deploy/environments/{self._target.name}.env, or create it first"
            )
        found: Mapping[str, Any] = json.loads(output)
        return found

    def change_packages(self, change: Change) -> None:
        """Add, repin and remove PyPI packages, without touching others; takes Composer about ten minutes."""
        # --update-pypi-packages-from-file would remove every package that the file does not list.
        arguments = [f"--update-pypi-package={name}{pin}" for name, pin in change.set.items()]
        if change.remove:
            arguments.append(f"--remove-pypi-packages={','.join(change.remove)}")
        self._update(*arguments)

    def change_variables(self, change: Change) -> None:
        """Set and remove environment variables, without touching others; Composer then restarts Airflow."""
        # Values are not logged: more people can read the log than can see the environment.
        arguments = [f"--update-env-variables={pairs_argument(change.set)}"] if change.set else []
        display = [f"--update-env-variables={','.join(change.set)} (names only)"] if change.set else []
        if change.remove:
            arguments.append(f"--remove-env-variables={','.join(change.remove)}")
            display.append(arguments[-1])
        self._update(*arguments, display=display)

    def restart_web_server(self) -> None:
        """Restart the API server, so that it reloads its plugins."""
        # Older versions of gcloud, such as 528, have this command only in beta; newer ones still have it there.
        self._programs.run(
            "gcloud", "beta", "composer", "environments", "restart-web-server", *self._where, stream=True
        )

    def _update(self, *arguments: str, display: Sequence[str] = ()) -> None:
        command = ("gcloud", "composer", "environments", "update", *self._where)
        self._programs.run(*command, *arguments, display=[*command, *(display or arguments)], stream=True)


def _environment(found: Mapping[str, Any]) -> Environment:
    config = found["config"]
    software = config.get("softwareConfig", {})
    dags = str(config["dagGcsPrefix"])
    if not dags.startswith("gs://") or not dags.endswith("/dags"):
        raise DeliveryError(f"the environment's DAG folder is {dags!r}, expected gs://BUCKET/dags")
    return Environment(
        bucket=dags.removesuffix("/dags"),
        airflow_url=str(config["airflowUri"]).rstrip("/"),
        packages=dict(software.get("pypiPackages", {})),
        variables=dict(software.get("envVariables", {})),
    )
