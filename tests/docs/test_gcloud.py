"""The gcloud commands of the documents against what an installed gcloud knows: its commands, and the flags of each."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import DOCS, names_block, run_blocks, shell_blocks

# Hidden in gcloud, so not among its completions.
HIDDEN = (["config", "get-value"],)


@pytest.fixture(scope="module")
def tree() -> Mapping[str, Any]:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not installed")
    completions = Path(gcloud).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
    if not completions.exists():
        pytest.skip(f"this gcloud has no {completions}")
    known: Mapping[str, Any] = runpy.run_path(str(completions))["STATIC_COMPLETION_CLI_TREE"]
    return known


def _unknown(tree: Mapping[str, Any], words: list[str]) -> list[str]:
    """The parts of a command that gcloud does not know: the command itself, or flags."""
    if words[:2] in HIDDEN:
        return []
    node, flags = tree, dict(tree["flags"])
    rest = list(words)
    while rest and rest[0] in node["commands"]:
        node = node["commands"][rest.pop(0)]
        flags |= node["flags"]
    if node["commands"]:
        return [" ".join(words[:4])]
    own = rest[: rest.index("--")] if "--" in rest else rest
    given = [word.partition("=")[0] for word in own if word.startswith("--")]
    return [flag for flag in given if flag not in flags and flag.replace("--no-", "--", 1) not in flags]


@pytest.mark.parametrize("name", ["gke.md", "composer.md", "operations.md"])
def test_gcloud_knows_every_command(tree: Mapping[str, Any], name: str, tmp_path: Path) -> None:
    blocks = shell_blocks((DOCS / name).read_text(encoding="utf-8"))
    calls = run_blocks(blocks if name == "gke.md" else [names_block(), *blocks], tmp_path)
    commands = [call[1:] for call in calls.words if call[0] == "gcloud"]
    assert len(commands) > 20
    assert {" ".join(words): unknown for words in commands if (unknown := _unknown(tree, words))} == {}


@pytest.mark.parametrize(
    "words",
    [
        ["storage", "buckets", "create", "gs://b", "--soft-delete=7d"],
        ["storage", "bucket", "create", "gs://b"],
        ["composer", "environments", "run", "airflow", "--region=us-central1", "dags", "pause", "--", "--yes"],
    ],
)
def test_unknown_commands_and_flags_are_found(tree: Mapping[str, Any], words: list[str]) -> None:
    assert len(_unknown(tree, words)) == 1
