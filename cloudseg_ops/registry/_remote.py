"""The DVC remote that weights are read from: how settings change it, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import RegistryError, RemoteSupportMissingError

# DVC's extras (dvc's METADATA), by the scheme of the remote's URL.
_EXTRAS = {
    "s3": "s3", "azure": "azure", "ssh": "ssh", "gs": "gs", "gdrive": "gdrive", "oss": "oss", "hdfs": "hdfs",
    "webdav": "webdav", "webdavs": "webdav", "webhdfs": "webhdfs",
}  # fmt: skip
_SECRET = re.compile(r"passw|passphrase|secret|token|account_key|connection_string|customer_key|access_key_id")
_USER_INFO = re.compile(r"(?<=://)[^/@\s'\"]+@")
_QUERY = re.compile(r"(?<=[?&])(sig|token|X-Amz-[A-Za-z-]+|se|sv|sp)=[^&\s'\"]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How to read a registry, besides its address.

    Attributes:
        params: The params file and its section, such as `params.yaml:model`; empty: the artifact's `meta` if it has
            the parameters, else that.
        remote: Name of the DVC remote; None: the registry's default remote.
        remote_options: Options of that remote, by DVC's names, such as `endpointurl`. They may contain secrets.
        remote_files: Options whose value is the path of a file, by DVC's names, with the file's content.
    """

    params: str = ""
    remote: str | None = None
    remote_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    remote_files: Mapping[str, str] = field(default_factory=dict, repr=False)


def secrets_of(config: Any, options: RegistryOptions) -> tuple[str, ...]:
    """Return values that must not appear in a message, longest first: of the options, and of .dvc/config.

    Args:
        config: The project's `dvc.config.Config`.
        options: The options.
    """
    remotes = [options.remote_options, *config["remote"].values()]
    found = {str(value) for remote in remotes for name, value in remote.items() if value and _SECRET.search(name)}
    return tuple(sorted(found, key=len, reverse=True))


def hide_secrets(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return a text without secrets, and without user and password in addresses.

    Args:
        text: A message of git, DVC or a client library.
        secrets: Values to replace.
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return _QUERY.sub(r"\1=***", _USER_INFO.sub("", text))


def configure_remote(config: Any, own: str | None, options: RegistryOptions, folder: Path) -> None:
    """Apply the options to a project's configuration, in memory.

    Args:
        config: The project's `dvc.config.Config`.
        own: The remote that the weights' own entry names; DVC prefers it.
        options: The options.
        folder: A private folder for files such as credentials.
    """
    if options.remote:
        config["core"]["remote"] = options.remote.lower()
    name = own or config["core"].get("remote")
    if not name:
        return
    given = dict(options.remote_options)
    for option, content in options.remote_files.items():
        path = folder / f"remote-{option}"
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
        given[option] = str(path)
    if given and name.lower() in config["remote"]:
        config["remote"][name.lower()].update(given)


def describe_remote(config: Any, own: str | None) -> str:
    """Return a noun phrase for the remote that DVC reads the weights from."""
    name = own or config["core"].get("remote")
    if not name:
        others = ", ".join(sorted(config["remote"]))
        hint = f"; it has the remotes {others}: set CLOUDSEG_MODEL_REMOTE to one" if others else ""
        return f"the cache (the registry has no default remote{hint})"
    url = hide_secrets(str(config["remote"].get(name.lower(), {}).get("url", "of unknown URL")))
    return f"the remote {name!r} ({url})"


def remote_error(error: Exception, what: str, remote: str, *, config: Any, options: RegistryOptions) -> RegistryError:
    """Return the error for a remote that could not be read, without secrets.

    Args:
        error: What DVC or the client library raised.
        what: The file that was read, and where.
        remote: The remote, from `describe_remote`.
        config: The project's `dvc.config.Config`.
        options: How the registry is read.
    """
    from dvc.config import NoRemoteError, RemoteNotFoundError
    from dvc_objects.fs.errors import RemoteMissingDepsError

    if isinstance(error, ImportError | RemoteMissingDepsError):
        return RemoteSupportMissingError(
            f"{what}: DVC cannot read {remote} here, because {_missing(error)}. Install it where `pull_model` runs, "
            "and on Composer add it to the PyPI packages of the environment"
        )
    if isinstance(error, RemoteNotFoundError | NoRemoteError):
        known = ", ".join(sorted(config["remote"])) or "none"
        return RegistryError(
            f"{what}: {remote} is not in the registry's .dvc/config, which has: {known}. Set CLOUDSEG_MODEL_REMOTE to "
            "one of them, or commit the remote (`dvc remote add`) with the revision"
        )
    detail = hide_secrets(str(error), secrets_of(config, options)) or type(error).__name__
    return RegistryError(
        f"{what} could not be read from {remote}: {detail}; check that this machine's identity can read the remote, "
        "and CLOUDSEG_MODEL_REMOTE_OPTIONS; then clear the task"
    )


def _missing(error: Exception) -> str:
    # "s3 is supported, but requires 'dvc-s3' to be installed" (dvc_objects/fs/__init__.py)
    scheme = getattr(error, "protocol", None) or str(error).partition(" ")[0]
    extra = _EXTRAS.get(str(scheme))
    return f"`pip install 'dvc[{extra}]'` has not been run" if extra else f"of a missing package: {error}"
