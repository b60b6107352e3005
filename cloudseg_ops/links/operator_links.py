"""Links on tasks: where a task's work can be looked at, shown by Airflow's UI next to its log.

Airflow's API server knows of a link no more than its name and the key of an XCom that holds its address. A task
pushes that XCom as soon as there is something to look at, and Airflow pushes it again at the end of each try: a link
shows while its task runs and when it has failed, and never leads to what is not there.
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
    """A link that shows once `show` has given its address."""

    name = "Link"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  (Airflow's own signature)
        """What this try has shown; empty, and therefore hidden, when it has shown nothing."""
        from airflow.sdk.execution_time.xcom import XCom

        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or "")


class RunReportLink(TaskLink):
    """The run's report.html."""

    name = "Run report"


class PlanLink(TaskLink):
    """The page of the run's plan."""

    name = "Plan"


class OutputFolderLink(TaskLink):
    """The folder of the run's masks."""

    name = "Output folder"


class QuarantineLink(TaskLink):
    """The folder of the inputs that could not be segmented."""

    name = "Quarantine"


class RunFolderLink(TaskLink):
    """The run's own files in STAGING."""

    name = "Run folder"


class PodLogLink(TaskLink):
    """The log of the chunk's pod in Cloud Logging."""

    name = "Pod log"


class ModelCommitLink(TaskLink):
    """The model's commit on the registry's git host."""

    name = "Model commit"


def show(context: Mapping[str, Any], link: type[TaskLink], address: str | None) -> None:
    """Show a link from now on; without an address, none. Where it cannot be shown, the task goes on all the same.

    Args:
        context: Airflow's, of the running task.
        link: One of the operator's `operator_extra_links`.
        address: Where it leads.
    """
    if not address:
        return
    try:
        context["ti"].xcom_push(key=link().xcom_key, value=address)
    except Exception as error:  # noqa: BLE001  (whatever it is: a link is a comfort)
        _log.warning("the link %r is not shown: %s", link.name, error)


def show_object(context: Mapping[str, Any], link: type[TaskLink], uri: GcsUri) -> None:
    """Show a link to an object that is there."""
    show(context, link, object_address(uri, emulator=_emulator()))


def show_folder(context: Mapping[str, Any], link: type[TaskLink], uri: GcsUri, project: str | None = None) -> None:
    """Show a link to a folder that holds something.

    Args:
        context: Airflow's, of the running task.
        link: One of the operator's `operator_extra_links`.
        uri: The folder.
        project: Project that the console is to be in; None: the one that it is in.
    """
    show(context, link, folder_address(uri, project=project, emulator=_emulator()))


def _emulator() -> str | None:
    # The variable by which google-cloud-storage finds the emulator as well.
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    return emulator_address(host) if host else None
