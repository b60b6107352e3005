"""Links from tasks to their results, which Airflow's UI shows next to the log.

Airflow's API server only knows a link's name and the key of the XCom that holds its address. A task pushes that XCom
as soon as there is something to look at, and Airflow pushes it again at the end of each try. So a link appears while
its task runs and after it has failed, and never leads to something that does not exist.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperatorLink

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.addresses import emulator_address, folder_address, object_address

_log = logging.getLogger(__name__)


class TaskLink(BaseOperatorLink):
    """A link that appears once `show` has pushed its address."""

    name = "Link"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  (Airflow's own signature)
        """Return the address that this try pushed; empty, which hides the link, if it pushed none."""
        from airflow.sdk.execution_time.xcom import XCom

        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or "")


class RunReportLink(TaskLink):
    """Links to the run's report.html."""

    name = "Run report"


class PlanLink(TaskLink):
    """Links to the page of the run's plan."""

    name = "Plan"


class OutputFolderLink(TaskLink):
    """Links to the folder of the run's masks."""

    name = "Output folder"


class QuarantineLink(TaskLink):
    """Links to the folder of the inputs that could not be segmented."""

    name = "Quarantine"


class RunFolderLink(TaskLink):
    """Links to the run's files in STAGING."""

    name = "Run folder"


class PodLogLink(TaskLink):
    """Links to the log of the chunk's pod in Cloud Logging."""

    name = "Pod log"


class ModelCommitLink(TaskLink):
    """Links to the model's commit on the registry's git host."""

    name = "Model commit"


def show(context: Mapping[str, Any], link: type[TaskLink], address: str | None) -> None:
    """Show a link on a running task from now on; an error is logged, and the task continues.

    Args:
        context: Airflow's context of the task.
        link: One of the operator's `operator_extra_links`.
        address: Where the link leads; None: no link is shown.
    """
    if not address:
        return
    try:
        context["ti"].xcom_push(key=link().xcom_key, value=address)
    except Exception as error:  # noqa: BLE001  (a link must not fail its task)
        _log.warning("could not show the link %r: %s", link.name, error)


def show_object(context: Mapping[str, Any], link: type[TaskLink], uri: GcsUri) -> None:
    """Show a link to an existing object.

    Args:
        context: Airflow's context of the task.
        link: One of the operator's `operator_extra_links`.
        uri: The object.
    """
    show(context, link, object_address(uri, emulator=_emulator()))


def show_folder(context: Mapping[str, Any], link: type[TaskLink], uri: GcsUri, project: str | None = None) -> None:
    """Show a link to a folder that is not empty.

    Args:
        context: Airflow's context of the task.
        link: One of the operator's `operator_extra_links`.
        uri: The folder.
        project: Project that the console should select; None: the one already selected.
    """
    show(context, link, folder_address(uri, project=project, emulator=_emulator()))


def _emulator() -> str | None:
    # google-cloud-storage finds the emulator by the same variable.
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    return emulator_address(host) if host else None
