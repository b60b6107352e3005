from cloudseg_ops.config.pools import composer_pool_command, pool_command, pool_fields


def test_deferred_tasks_count() -> None:
    assert pool_fields(3) == {
        "slots": 3, "description": "Chunks at once, deferred ones included", "include_deferred": True,
    }  # fmt: skip
    assert pool_fields(1, "mine")["description"] == "mine"


def test_airflows_command() -> None:
    assert pool_command("gpus", 3) == [
        "airflow", "pools", "set", "gpus", "3", "Chunks at once, deferred ones included", "--include-deferred",
    ]  # fmt: skip


def test_airflow_takes_the_command() -> None:
    from airflow.cli.cli_parser import get_parser

    read = get_parser().parse_args(pool_command("gpus", 3)[1:])
    assert (read.pool, read.slots, read.include_deferred) == ("gpus", 3, True)
    assert read.description == pool_fields(3)["description"]


def test_on_composer_all_arguments_of_airflow_come_after_the_dashes() -> None:
    command = composer_pool_command("prod", "europe-west4", "gpus", 3)
    assert command[: command.index("--")] == [
        "gcloud", "composer", "environments", "run", "prod", "--location", "europe-west4", "pools", "set",
    ]  # fmt: skip
    assert command[command.index("--") + 1 :] == pool_command("gpus", 3)[3:]
    assert composer_pool_command("prod", "r", "gpus", 3, project="p")[5:9] == ["--location", "r", "--project", "p"]
