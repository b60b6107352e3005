"""A Composer environment through gcloud: what it is set to, and the changes that a release makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.delivery.changes import Change, pairs_argument
from cloudseg_ops.delivery.programs import Programs
from cloudseg_ops.delivery.targets import Target
from cloudseg_ops.errors import DeliveryError, DeliveryRefusedError


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
        """Read what it is set to.

        Raises:
            DeliveryRefusedError: It is not there, or is being changed by somebody.
            CommandFailedError: gcloud failed.
        """
        words = ("gcloud", "composer", "environments", "describe", *self._where, "--format=json")
        if (said := self._programs.ask_for(*words)) is None:
            raise DeliveryRefusedError(
                f"the project {self._target.project} has no Composer environment {self._target.composer} in "
                f"{self._target.location}: correct deploy/environments/{self._target.name}.env, or create it first"
            )
        found = json.loads(said)
        if found.get("state") != "RUNNING":
            raise DeliveryRefusedError(
                f"the Composer environment {self._target.composer} is {found.get('state')}: somebody changes it, or it "
                "is broken. Wait until it is RUNNING, then deliver again"
            )
        return _environment(found)

    def change_packages(self, change: Change) -> None:
        """Add, repin and remove PyPI packages; those of others stay. Takes Composer some ten minutes."""
        # Not --update-pypi-packages-from-file: that takes away every package which the file does not name.
        words = [f"--update-pypi-package={name}{pin}" for name, pin in change.set.items()]
        if change.remove:
            words.append(f"--remove-pypi-packages={','.join(change.remove)}")
        self._update(*words)

    def change_variables(self, change: Change) -> None:
        """Set and remove environment variables; those of others stay. Composer restarts Airflow for it."""
        words = [f"--update-env-variables={pairs_argument(change.set)}"] if change.set else []
        if change.remove:
            words.append(f"--remove-env-variables={','.join(change.remove)}")
        self._update(*words)

    def restart_web_server(self) -> None:
        """Have the API server load its plugins anew."""
        # Older versions of gcloud, 528 for one, have this command in beta alone; newer ones have it there as well.
        self._programs.do("gcloud", "beta", "composer", "environments", "restart-web-server", *self._where)

    def _update(self, *words: str) -> None:
        self._programs.do("gcloud", "composer", "environments", "update", *self._where, *words)


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
