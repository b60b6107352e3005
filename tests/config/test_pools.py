from cloudseg_ops.config.pools import pool_command, pool_fields


def test_pool_includes_deferred_tasks() -> None:
    assert pool_fields(3) == {
        "slots": 3, "description": "Chunks at once, deferred ones included", "include_deferred": True,
    }  # fmt: skip
    assert pool_fields(1, "mine")["description"] == "mine"


def test_pool_command() -> None:
    assert pool_command("gpus", 3) == [
        "airflow", "pools", "set", "gpus", "3", "Chunks at once, deferred ones included", "--include-deferred",
    ]  # fmt: skip


def test_airflow_accepts_the_pool_command() -> None:
    from airflow.cli.cli_parser import get_parser

    read = get_parser().parse_args(pool_command("gpus", 3)[1:])
    assert (read.pool, read.slots, read.include_deferred) == ("gpus", 3, True)
    assert read.description == pool_fields(3)["description"]
