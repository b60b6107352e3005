"""`cloudseg resolve` and `cloudseg registry init`: the model registry from a terminal."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from cloudseg_ops.config.models import ModelSettings
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import LocalError, SettingsError
from cloudseg_ops.registry import RegistryOptions, RevisionPolicy
from cloudseg_ops.registry.fetching import ResolvedModel, fetch_model
from cloudseg_ops.registry.new_registry import STAGE, NewModel, init_registry
from cloudseg_ops.registry.remote_connection import remote_settings

# In a checkout of cloudseg; the wheel does not contain the example's weights.
_EXAMPLE = Path(__file__).parents[2] / "examples" / "cloud_unet" / "weights"


def add_resolve(commands: Any) -> None:
    """Add `cloudseg resolve`."""
    resolve = commands.add_parser(
        "resolve",
        help="print which commit, file and parameters a model is, and where each came from",
        description="Resolve a model as a run does: download its weights, check them, and print commit, path, md5, "
        "size and parameters, and where each came from. Reads the CLOUDSEG_MODEL_* environment variables. Exit code 0: "
        "a run could use it; 2: it could not, for the reason that is printed.",
    )
    resolve.add_argument(
        "model", metavar="MODEL", help="an artifact (clouds), a version (clouds@v1.2.0), a stage (clouds#prod), or a "
        "tag, a branch or a commit",
    )  # fmt: skip
    add_registry_options(resolve)
    resolve.add_argument("--json", action="store_true", help="print JSON")


def add_registry_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a model is looked up."""
    parser.add_argument("--repository", metavar="R", help="URL or path of the registry (CLOUDSEG_MODEL_REPOSITORY)")
    parser.add_argument(
        "--path", metavar="P", help="path of the weights file, unless an artifact says its own (CLOUDSEG_MODEL_PATH)"
    )


def fetch_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `fetch_model` and `pull_model`, without the revision, from options and CLOUDSEG_MODEL_*.

    Raises:
        SettingsError: No registry is given, or a variable is invalid.
    """
    repository = options.repository or os.environ.get("CLOUDSEG_MODEL_REPOSITORY")
    if not repository:
        raise SettingsError("no model registry given; set CLOUDSEG_MODEL_REPOSITORY, or use --repository URL")
    path = options.path or os.environ.get("CLOUDSEG_MODEL_PATH") or str(Settings.model_fields["model_path"].default)
    settings = ModelSettings.of_model(os.environ)
    remote, files = remote_settings(settings.model_remote_conn_id) if settings.model_remote_conn_id else ({}, {})
    registry = RegistryOptions(
        params=settings.model_params,
        remote=settings.model_remote,
        remote_options={**remote, **settings.model_remote_options},
        remote_files=files,
    )
    return {
        "repository": repository,
        "path": path,
        "options": registry,
        "policy": RevisionPolicy(settings.model_revisions, settings.model_signers or ""),
        "allowed_operators": settings.allowed_operators,
    }


def resolve_model(options: argparse.Namespace) -> int:
    """Run `cloudseg resolve`."""
    with fetch_model(revision=options.model, **fetch_arguments(options)) as (model, _):
        print(json.dumps(model.to_json()) if options.json else _describe(model))
    return 0


def _describe(model: ResolvedModel) -> str:
    rows = [
        ("model", model.revision, ""),
        ("repository", model.repository, ""),
        ("commit", model.commit, ""),
        ("path", model.path, model.path_origin),
        ("md5", model.md5, "DVC, and the downloaded file"),
        ("size", f"{model.size} bytes", "the downloaded file"),
    ]
    params = model.params.model_dump(mode="json")
    rows += [(name, json.dumps(value), model.origins.get(name, "")) for name, value in params.items()]
    if model.ignored:
        rows.append(("ignored", ", ".join(model.ignored), "not parameters of a model"))
    if model.note:
        rows.append(("note", model.note, ""))
    width = max(len(value) for _, value, origin in rows if origin)
    return "\n".join(f"{name:<14}  {value:<{width}}  {origin}".rstrip() for name, value, origin in rows)


def add_registry(commands: Any) -> None:
    """Add `cloudseg registry`."""
    registry = commands.add_parser("registry", help="make a model registry")
    init = registry.add_subparsers(dest="registry_command", required=True).add_parser(
        "init",
        help="make a model registry with the example model in your git repository and bucket",
        description="Make a git repository under DVC with one model: weights in the DVC remote, parameters, an "
        "artifact with the version v1.0.0 in the stage prod. What is done already is left as it is, so the command can "
        "be repeated. It pushes to the DVC remote, and prints the git push that is left to you. Exit code 0: the "
        "registry is complete; 2: it is not, for the reason that is printed.",
    )
    init.add_argument("folder", metavar="FOLDER", type=Path, help="working copy to make: a new or empty folder")
    init.add_argument("--remote", metavar="URL", required=True, help="DVC remote, such as gs://BUCKET/models")
    init.add_argument("--origin", metavar="URL", help="git URL of the registry, for the printed commands")
    init.add_argument("--artifact", metavar="NAME", default="clouds", help="name of the model (clouds)")
    init.add_argument("--weights", metavar="FILE", type=Path, help="weights file; left out: the example model's")
    init.add_argument("--params", metavar="FILE", type=Path, help="its params.yaml; left out: the example model's")


def run_registry(options: argparse.Namespace) -> int:
    """Run `cloudseg registry init`."""
    if (options.weights is None) != (options.params is None):
        raise SettingsError("your own model needs both options: --weights FILE --params FILE")
    weights = options.weights or _EXAMPLE / "v2.pt"
    params = options.params or _EXAMPLE / "params-v2.yaml"
    if missing := [path for path in (weights, params) if not path.is_file()]:
        raise LocalError(
            f"there is no file {missing[0]}; run the command in a checkout of cloudseg, which has the example model, "
            "or name a model with --weights FILE --params FILE"
        )
    folder = options.folder.resolve()
    remote = options.remote if "://" in options.remote else str(Path(options.remote).resolve())
    model = NewModel(options.artifact, weights, params, remote)
    init_registry(folder, model, lambda line: print(f"  {line}", file=sys.stderr))
    asked = f"{options.artifact}#{STAGE}"
    # As a URL, so that the weights come from the remote and not from this folder's cache.
    with fetch_model(folder.as_uri(), asked, "model.pt") as (resolved, _):
        print(f"{asked} is commit {resolved.commit}, weights md5 {resolved.md5}")
    _print_next_steps(folder, options.origin, asked)
    return 0


def _print_next_steps(folder: Path, origin: str | None, asked: str) -> None:
    url = origin or "GIT-URL"
    print(
        f"\nPush it to git, with its tags:\n"
        f"  git -C {folder} remote add origin {url}\n"
        f"  git -C {folder} push --follow-tags origin HEAD\n"
        f"and set these variables on the Airflow environment, whose workers need to read both:\n"
        f"  CLOUDSEG_MODEL_REPOSITORY={url}\n"
        f"  CLOUDSEG_MODEL_REVISION={asked}"
    )
