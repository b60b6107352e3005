"""Runs Terraform on deploy/terraform, with a stand-in for each provider and no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra.provider import serving

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "terraform"
SCHEMAS = Path(__file__).with_name("schemas.json")

# A local state; that of the configuration is in a bucket.
_LOCAL_STATE = 'terraform {\n  backend "local" {}\n}\n'


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a Terraform command.

    Attributes:
        code: Its exit code.
        text: Its output and errors.
    """

    code: int
    text: str


class Plan:
    """A plan, as `terraform show -json` prints it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.resources: dict[str, dict[str, Any]] = {
            resource["address"]: resource["values"]
            for resource in document["planned_values"]["root_module"].get("resources", [])
        }
        self.outputs: dict[str, Any] = {
            name: output.get("value") for name, output in document["planned_values"].get("outputs", {}).items()
        }

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of one type, by address."""
        return {address: values for address, values in self.resources.items() if address.startswith(f"{kind}.")}


class Terraform:
    """A copy of the configuration, initialized.

    Args:
        folder: The folder of the copy.
        environment: Variables of Terraform's process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)

    def run(self, *arguments: str) -> Outcome:
        """Run a command."""
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def try_plan(self, variables: Mapping[str, Any]) -> Outcome:
        """Plan, and return the outcome even if it fails."""
        (self.folder / "test.auto.tfvars.json").write_text(json.dumps(variables))
        return self.run("plan", "-input=false", "-no-color", "-lock=false", "-refresh=false", "-out=plan")

    def plan(self, variables: Mapping[str, Any]) -> Plan:
        """Plan an environment that does not exist yet."""
        outcome = self.try_plan(variables)
        assert outcome.code == 0, outcome.text
        shown = self.run("show", "-json", "plan")
        assert shown.code == 0, shown.text
        return Plan(json.loads(shown.text))


@contextmanager
def initialized(folder: Path) -> Iterator[Terraform]:
    """Copy the configuration into a folder, and initialize it with stand-ins for the providers that it names."""
    shutil.copytree(CONFIGURATION, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*"))
    (folder / "backend_override.tf").write_text(_LOCAL_STATE)
    (folder / "none.rc").touch()
    schemas = json.loads(SCHEMAS.read_text(encoding="utf-8"))["provider_schemas"]
    with ExitStack() as stack:
        attached = {
            source: {
                "Protocol": "grpc",
                "ProtocolVersion": 5,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "tcp", "String": stack.enter_context(serving(provider))},
            }
            for source, provider in schemas.items()
        }
        terraform = Terraform(
            folder,
            {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "TF_CLI_CONFIG_FILE": str(folder / "none.rc"),
                "TF_REATTACH_PROVIDERS": json.dumps(attached),
                "CHECKPOINT_DISABLE": "1",
            },
        )
        outcome = terraform.run("init", "-input=false", "-no-color")
        assert outcome.code == 0, outcome.text
        yield terraform
