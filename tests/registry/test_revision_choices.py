"""The revisions that are stored for the trigger form, and their validation."""

import json

import pytest

from cloudseg_ops.registry.revision_choices import (
    VARIABLE,
    parse_value,
    revision_choices,
    store_command,
    variable_value,
)

REPOSITORY = "https://git.example/models.git"
REVISIONS = ["v2", "v1", "main"]


def test_stored_revisions_are_read_back() -> None:
    assert parse_value(variable_value(REPOSITORY, REVISIONS), REPOSITORY) == REVISIONS


def test_credentials_are_not_stored() -> None:
    value = variable_value("https://user:secret@git.example/models.git", REVISIONS)
    assert "secret" not in value
    assert parse_value(value, REPOSITORY) == parse_value(value, "https://x:y@git.example/models.git") == REVISIONS


@pytest.mark.parametrize(
    "value",
    [
        "", "garbage", "null", "7", "[]", '"text"', "{}", "[" * 100_000, '{"revisions": ["v1"]}',
        json.dumps({"repository": "https://git.example/other.git", "revisions": ["v1"]}),
        json.dumps({"repository": REPOSITORY}),
        json.dumps({"repository": REPOSITORY, "revisions": "v1"}),
        json.dumps({"repository": REPOSITORY, "revisions": {"v1": 1}}),
    ],
)  # fmt: skip
def test_invalid_values_give_no_revisions(value: str) -> None:
    assert parse_value(value, REPOSITORY) == []


def test_invalid_revisions_are_dropped() -> None:
    revisions = ["v1", None, 7, ["v2"], "--upload-pack=x", "v3\n", "v4"]
    value = json.dumps({"repository": REPOSITORY, "revisions": revisions})
    assert parse_value(value, REPOSITORY) == ["v1", "v4"]
    assert len(parse_value(variable_value(REPOSITORY, [f"v{number}" for number in range(1000)]), REPOSITORY)) == 50


def test_pinned_revision_is_the_only_choice_outside_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{VARIABLE.upper()}", variable_value(REPOSITORY, REVISIONS))
    assert revision_choices(REPOSITORY, "v1.2") == ["v1.2"]


def test_airflow_parses_the_command() -> None:
    from airflow.cli.cli_parser import get_parser

    read = get_parser().parse_args(store_command(REPOSITORY, REVISIONS)[1:])
    assert read.key == VARIABLE
    assert parse_value(read.value, REPOSITORY) == REVISIONS
