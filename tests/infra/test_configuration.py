"""deploy/terraform, as Terraform reads and plans it, and against the settings of the code.

The providers are stand-ins (`provider.py`) with the schemas of the real ones: Terraform's checks apply, down to
each argument's name, type and place; those of Google's API do not.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cloudseg_ops.cli.airflow_commands import composer_command
from cloudseg_ops.config.pools import pool_command
from cloudseg_ops.config.settings import Settings, variables
from tests.infra.reading import NAMES, only
from tests.infra.terraform import CONFIGURATION, SCHEMAS, Plan, Terraform, initialized


def test_files_are_formatted(terraform: Terraform) -> None:
    outcome = Terraform(CONFIGURATION, terraform.environment).run("fmt", "-check", "-diff", "-recursive", "-no-color")
    assert outcome.code == 0, outcome.text


def test_configuration_is_valid(terraform: Terraform) -> None:
    outcome = terraform.run("validate", "-no-color")
    assert outcome.code == 0, outcome.text


def test_provider_versions_match_the_schemas() -> None:
    text = (CONFIGURATION / "versions.tf").read_text(encoding="utf-8")
    pinned = dict(re.findall(r'source  = "hashicorp/([\w-]+)"\n +version = "~> ([\d.]+)"', text))
    versions = json.loads(SCHEMAS.read_text(encoding="utf-8"))["versions"]
    assert pinned == {name: version.rpartition(".")[0] for name, version in versions.items()}


def test_misspelled_argument_is_found(terraform: Terraform, tmp_path: Path) -> None:
    with initialized(tmp_path) as broken:
        file = broken.folder / "buckets.tf"
        file.write_text(file.read_text().replace("public_access_prevention ", "public_acces_prevention ", 1))
        outcome = broken.run("validate", "-no-color")
    assert outcome.code != 0
    assert 'An argument named "public_acces_prevention" is not expected here' in outcome.text


def test_every_variable_has_a_description() -> None:
    text = (CONFIGURATION / "variables.tf").read_text(encoding="utf-8")
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}$', text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 20
    assert [name for name, block in blocks if not re.match(r'  description = ".{10,}"\n', block)] == []


def test_all_options_at_once_can_be_planned(everything: Plan) -> None:
    assert {"google_pubsub_subscription", "google_iam_workload_identity_pool"} <= {
        address.partition(".")[0] for address in everything.resources
    }


WRONG = [
    ({"airflow_project": "my-project"}, "Composer needs its own project"),
    ({"project": "My Project"}, "A project id has"),
    ({"region": "us-central1-a"}, "Must be a region such as"),
    ({"zones": ["europe-west4-a"]}, "Every zone must be in"),
    ({"zones": []}, "Must have at least one zone"),
    ({"gpus": 0}, "Must be a positive integer"),
    ({"gpus": 1.5}, "Must be a positive integer"),
    ({"subnet_range": "10.10.0.0"}, "Must be an IPv4 range"),
    ({"soft_delete_days": 0}, "7 to 90 days"),
    ({"staging_days": 1}, "Must be at least 7"),
    ({"image_version": "composer-2-airflow-2.10.5"}, "cloudseg is tested on"),
    ({"environment_size": "HUGE"}, "SMALL, MEDIUM or LARGE"),
    ({"workers": {"min": 3, "max": 1, "cpu": 1, "memory_gb": 4, "storage_gb": 10}}, "`max` at least `min`"),
    ({"model_repository": "https://user:password@git.example.com/models.git"}, "A password would be visible"),
    ({"settings": {"AIRFLOW_HOME": "/"}}, "Each name must start with CLOUDSEG_"),
    ({"image_repository": "us-central1-docker.pkg.dev/my-project/cloudseg/engine:v3"}, "without tag or digest"),
    ({"image_repository": "engine"}, "without tag or digest"),
    ({"image_readers": ["cloudseg-nodes@my-production.iam.gserviceaccount.com"]}, "Must be members such as"),
    ({"github_repository_id": "team/cloudseg"}, "Must be a number"),
    ({"hours_without_success": 1.5}, "Must be a positive integer"),
    ({"hours_without_success": 0}, "Must be a positive integer"),
    ({"quarantined_share": 5}, "Must be between 0 and 1"),
    ({"task_log_field": "message"}, "textPayload or"),
]


@pytest.mark.parametrize(("values", "error"), WRONG)
def test_invalid_value_is_rejected(terraform: Terraform, values: dict[str, Any], error: str) -> None:
    outcome = terraform.try_plan(NAMES | values)
    assert outcome.code == 1
    assert error in " ".join(outcome.text.split()), outcome.text


def test_variables_of_the_environment_are_settings(autopilot: Plan) -> None:
    (config,) = only(autopilot, "google_composer_environment")["config"]
    given = config["software_config"][0]["env_variables"]
    assert given.keys() <= set(variables())
    settings = Settings.from_environment({**given, "CLOUDSEG_IMAGE": f"registry.example.com/x@sha256:{'0' * 64}"})
    assert settings.pods.node_selector == {"cloud.google.com/gke-gpu-driver-version": "latest"}


def test_pool_command_matches_the_command_line(autopilot: Plan, everything: Plan) -> None:
    for plan, pool in ((autopilot, Settings.model_fields["pool"].default), (everything, "gpus")):
        (command,) = only(plan, "terraform_data")["triggers_replace"]
        assert plan.outputs["pool_command"] == command
        assert shlex.split(command) == composer_command(
            pool_command(pool, 4), "airflow", "us-central1", project="my-airflow"
        )
