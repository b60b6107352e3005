"""Airflow commands, as gcloud runs them on Composer."""

from cloudseg_ops.cli.airflow_commands import composer_command
from cloudseg_ops.config.pools import pool_command
from cloudseg_ops.registry.revision_choices import store_command

REPOSITORY = "https://git.example/models.git"
REVISIONS = ["v2", "v1", "main"]
WHERE = ["--location", "r", "--project", "p"]


def test_pool_command_passes_airflow_arguments_after_the_dashes() -> None:
    command = composer_command(pool_command("gpus", 3), "prod", "europe-west4")
    assert command[: command.index("--")] == [
        "gcloud", "composer", "environments", "run", "prod", "--location", "europe-west4", "pools", "set",
    ]  # fmt: skip
    assert command[command.index("--") + 1 :] == pool_command("gpus", 3)[3:]
    assert composer_command(pool_command("gpus", 3), "prod", "r", project="p")[5:9] == WHERE


def test_revisions_command_passes_airflow_arguments_after_the_dashes() -> None:
    command = composer_command(store_command(REPOSITORY, REVISIONS), "prod", "europe-west4")
    assert command[: command.index("--")] == [
        "gcloud", "composer", "environments", "run", "prod", "--location", "europe-west4", "variables", "set",
    ]  # fmt: skip
    assert command[command.index("--") + 1 :] == store_command(REPOSITORY, REVISIONS)[3:]
    assert composer_command(store_command(REPOSITORY, []), "prod", "r", project="p")[5:9] == WHERE
