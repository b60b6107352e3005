"""Reads plans of Terraform's, and the commands of a guide, in the same terms."""

from __future__ import annotations

from typing import Any

from tests.infra.terraform import Plan
from tests.support.commands import Calls

# As docs/gke.md exports them.
NAMES: dict[str, Any] = {
    "project": "my-project",
    "airflow_project": "my-airflow",
    "model_repository": "https://git.example.com/team/model-registry.git",
    "model_revision": "v3",
}
EVERYTHING: dict[str, Any] = {
    "autopilot": False,
    "pubsub": True,
    "github_repository_id": "123456789",
    "image_readers": [
        "serviceAccount:cloudseg-nodes@my-production.iam.gserviceaccount.com",
        "serviceAccount:cloudseg-deployer@my-production-airflow.iam.gserviceaccount.com",
    ],
    "alert_email": "on-call@example.com",
    "hours_without_success": 26,
    "model_bucket": "my-project-cloudseg-models",
    "web_server_ranges": {"198.51.100.0/24": "office"},
    "airflow_network": {"network": "shared", "subnetwork": "airflow"},
    "notification_channels": {"my-airflow": ["projects/my-airflow/notificationChannels/1"]},
    "settings": {"CLOUDSEG_POOL": "gpus"},
}


def flag(call: list[str], name: str) -> str | None:
    """The value of a flag; None when it is not given."""
    return next((word.partition("=")[2] for word in call if word.startswith(f"{name}=")), None)


def flags(call: list[str]) -> set[str]:
    """The flags without a value."""
    return {word for word in call if word.startswith("--") and "=" not in word}


def only(plan: Plan, kind: str) -> dict[str, Any]:
    """The one resource of a type."""
    (values,) = plan.of(kind).values()
    return values


def grants_in(plan: Plan) -> set[tuple[str, ...]]:
    """Every grant of a plan: resource, member, role and condition."""
    on = ("bucket", "repository", "topic", "subscription", "service_account_id", "project")
    grants: set[tuple[str, ...]] = set()
    for address, values in plan.resources.items():
        if address.partition(".")[0].endswith("_iam_member"):
            target = next(values[key] for key in on if values.get(key))
            (condition,) = values.get("condition") or [{}]
            grants.add((target.rpartition("/")[2], values["member"], values["role"], condition.get("expression", "")))
    return grants


def grants_by(calls: Calls) -> set[tuple[str, ...]]:
    """Every grant of a document's commands, in the same form."""
    grants: set[tuple[str, ...]] = set()
    for call in calls.with_words("gcloud", "add-iam-policy-binding"):
        target = call[call.index("add-iam-policy-binding") + 1].removeprefix("gs://")
        condition = flag(call, "--condition") or ""
        expression = condition.partition("expression=")[2]
        grants.add((target, str(flag(call, "--member")), str(flag(call, "--role")), expression))
    return grants


def metadata(values: dict[str, Any]) -> dict[str, Any]:
    """Name, namespace and labels of a planned Kubernetes resource."""
    (metadata,) = values["metadata"]
    return {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
