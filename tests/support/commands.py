"""Runs the shell commands of a document.

They run in order in one shell, with a stub for every program that would access the network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

DIGEST = "sha256:" + "0123456789abcdef" * 4
PROJECT_NUMBER = "123456789012"
TOOLS = (
    *("gcloud", "kubectl", "docker", "git", "make", "airflow", "jq", "terraform", "curl"),
    ".cloudseg/venv/bin/cloudseg",
)
# A stub for every program that would access the network: it records its arguments.
_STAND_IN = f"""#!/usr/bin/env bash
call=$CALLS/$EPOCHREALTIME-$$
mkdir "$call"
printf '%s\\0' "${{0##*/}}" "$@" > "$call/words"
case " ${{0##*/}} $* " in
' jq '*) cat > "$call/input"; echo gs://bucket/name#1 ;;
*' -f - '* | *' cp - '* | *' @- '* | *' --read-paths-from-stdin '*) cat > "$call/input" ;;
*' artifacts docker images describe '*) echo {DIGEST} ;;
*' projects describe '*) echo {PROJECT_NUMBER} ;;
*' environments describe '*) echo gs://the-bucket/dags ;;
*' service-agent '*) echo service-{PROJECT_NUMBER}@gs-project-accounts.iam.gserviceaccount.com ;;
*' rev-parse '*) echo abc1234 ;;
*) echo CPUS PREEMPTIBLE_NVIDIA_L4_GPUS GPUS_ALL_REGIONS ;;
esac
"""
_HARMLESS = ("bash", "cat", "grep", "mkdir", "rm", "sed")


class Calls:
    """The calls of a document's commands.

    Attributes:
        folder: Where they ran, in place of a checkout.
        words: Each call of a stand-in: its name and its arguments.
        inputs: Standard input of a call, by its index.
    """

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        done = sorted(output.iterdir())
        self.words = [(call / "words").read_text().split("\0")[:-1] for call in done]
        self.inputs = {
            index: (call / "input").read_text() for index, call in enumerate(done) if (call / "input").exists()
        }

    def with_words(self, *words: str) -> list[list[str]]:
        """Return the calls that have all of these words."""
        return [call for call in self.words if set(words) <= set(call)]

    def manifests(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the manifests that were applied to the cluster."""
        applied = [text for index, text in self.inputs.items() if "apply" in self.words[index]]
        documents = [document for text in applied for document in yaml.safe_load_all(text)]
        return [document for document in documents if kind in (None, document["kind"])]

    def environment(self) -> dict[str, str]:
        """Return the variables that are set in Composer's environment, over all calls."""
        flag = "--update-env-variables=^;^"
        values = [word.removeprefix(flag) for call in self.words for word in call if word.startswith(flag)]
        return dict(pair.split("=", 1) for value in values for pair in value.split(";"))


def shell_blocks(text: str) -> list[str]:
    """Return the shell blocks of a document, in order."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run_blocks(blocks: list[str], folder: Path) -> Calls:
    """Run blocks in one shell, as a reader would, with stubs on the path.

    Args:
        blocks: The blocks; a command that fails, or an unset variable, ends them.
        folder: An empty folder to work in.
    """
    checkout, output, tools = (folder / name for name in ("checkout", "calls", "tools"))
    for part in (checkout, output, tools):
        part.mkdir()
    for tool in TOOLS:
        file = checkout / tool if "/" in tool else tools / tool
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_STAND_IN)
        file.chmod(0o755)
    for harmless in _HARMLESS:
        (tools / harmless).symlink_to(str(shutil.which(harmless)))
    (checkout / "deploy" / "environments").mkdir(parents=True)
    (checkout / "requirements.txt").write_bytes((ROOT / "requirements.txt").read_bytes())
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=checkout,
        env={"PATH": str(tools), "CALLS": str(output), "HOME": str(checkout)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return Calls(checkout, output)


def check_syntax(blocks: list[str]) -> None:
    """Assert that each block is valid bash."""
    for block in blocks:
        checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{block}\n{checked.stderr}"


def headings(text: str) -> set[str]:
    """Return the anchors of a document's headings, as on GitHub."""
    return {
        re.sub(r"[^a-z0-9_ -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }


def names_block() -> str:
    """Return the block of docs/gke.md that exports the names that all documents use."""
    return next(block for block in shell_blocks((DOCS / "gke.md").read_text("utf-8")) if "export PROJECT=" in block)


def airflow_commands(calls: Calls) -> list[list[str]]:
    """Return the Airflow commands among the calls: those that Composer runs in an environment."""
    return [
        [word for word in call[5:] if word != "--" and not word.startswith(("--project=", "--location="))]
        for call in calls.with_words("composer", "environments", "run")
    ]


def check_airflow_commands(calls: Calls) -> None:
    """Assert that Airflow's parser accepts each of its commands."""
    from airflow.cli.cli_parser import get_parser

    commands = airflow_commands(calls)
    assert commands
    for words in commands:
        get_parser().parse_args(words)


def check_links(document: Path) -> None:
    """Assert that the files and headings that a document links to exist."""
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target.read_text(encoding="utf-8")), link
