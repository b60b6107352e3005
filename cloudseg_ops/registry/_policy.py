"""Which revisions of the registry a run may use: any, tags alone, or signed tags."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cloudseg_ops.contracts.errors import RegistryError, RevisionRefusedError
from cloudseg_ops.contracts.revisions import COMMIT_PATTERN

Revisions = Literal["any", "tags", "signed"]
"""From the least to the most restrictive."""

_TIMEOUT_SECONDS = 60
_SHOWN = 300
_NAMED = 5
_NEWEST = re.compile(r"@(?:latest|greatest)$")
_PGP = (b"-----BEGIN PGP", b"\x98", b"\x99", b"\xc6")
"""How exported OpenPGP keys begin: as text, or in the old and the new binary format."""


@dataclass(frozen=True, slots=True)
class RevisionPolicy:
    """Which revisions a run may use.

    Attributes:
        revisions: `any`; `tags`: what a tag points to, asked for by the tag's name, or as a version or stage that GTO
            keeps as a tag; `signed`: the same, and the tag must be signed by a known key. A full commit is allowed if
            such a tag points to it.
        signers: The known keys: an allowed-signers file of SSH, or exported OpenPGP keys; its path, or its content.
    """

    revisions: Revisions = "any"
    signers: str = ""

    def covers(self, admitted: str) -> bool:
        """Return whether a model that was admitted under another policy needs no further check."""
        order = get_args(Revisions)
        return order.index(admitted) >= order.index(self.revisions)


ANY_REVISION = RevisionPolicy()
"""Every revision is allowed."""


def check_policy(policy: RevisionPolicy, git_folder: str, *, revision: str, commit: str, where: str) -> None:
    """Check that a run may use a revision.

    Args:
        policy: The policy.
        git_folder: A clone or working copy of the registry with the tags in question.
        revision: What was asked for: a tag, a branch, a commit, or an artifact's version or stage.
        commit: What it was resolved to, 40 hex digits.
        where: The registry, for messages.

    Raises:
        RevisionRefusedError: The policy does not allow it.
        RegistryError: git, or the file of keys, cannot be used.
    """
    if policy.revisions == "any":
        return
    shown = f"{where}: CLOUDSEG_MODEL_REVISIONS={policy.revisions} does not allow {revision!r} (commit {commit[:12]})"
    found = _git("for-each-ref", "refs/tags", f"--points-at={commit}", "--format=%(refname:strip=2)", folder=git_folder)
    there = found.stdout.decode(errors="replace").split()
    tags = tags_of(revision, there)
    if policy.revisions == "signed" and re.fullmatch(COMMIT_PATTERN, revision):
        tags = there
    if not tags:
        others = f"; the tags at that commit are {', '.join(there[:_NAMED])}" if there else ""
        sign = " --sign" if policy.revisions == "signed" else ""
        raise RevisionRefusedError(
            f"{shown}: it is not a tag, nor a version or stage of an artifact{others}. Ask for a tag, or create one "
            f"(`git tag{sign}`) and push it"
        )
    if policy.revisions == "signed":
        problems = []
        for tag in tags:
            if not (problem := _signature_problem(git_folder, tag, commit, policy.signers)):
                return
            problems.append(f"the tag {tag} {problem}")
        raise RevisionRefusedError(
            f"{shown}: {'; '.join(problems[:_NAMED])}. Sign the tag with a key that CLOUDSEG_MODEL_SIGNERS names (`git "
            "tag --sign --force`) and push it, or ask for another tag"
        )


def tags_of(revision: str, tags: Iterable[str]) -> list[str]:
    """Return the tags by which a revision is known, of those at its commit.

    Args:
        revision: What was asked for.
        tags: The tags at the commit that it was resolved to.

    >>> tags_of("v1", ["v1", "v1.0"]), tags_of("ml:sky#prod", ["ml=sky@v1", "ml=sky#prod#3"])
    (['v1'], ['ml=sky#prod#3'])
    >>> tags_of("sky", ["sky@v2", "sky@v2!", "sky#prod#1"]), tags_of("main", ["v1"])
    (['sky@v2'], [])
    """
    tags = list(tags)
    name = revision.replace(":", "=")
    if exact := [tag for tag in tags if tag in (revision, name)]:
        return exact
    stem = re.escape(_NEWEST.sub("", name))
    later = rf"{stem}#\d+" if "#" in name else rf"{stem}@[^@#!]+"
    return [tag for tag in tags if re.fullmatch(later, tag)]


def _signature_problem(git_folder: str, tag: str, commit: str, signers: str) -> str:
    """Return what is wrong with a tag's signature, as the rest of a sentence; empty: nothing."""
    content = _git("cat-file", "tag", f"refs/tags/{tag}", folder=git_folder)
    if content.returncode:
        return "is not signed"
    header = content.stdout.partition(b"\n\n")[0].split(b"\n")
    if f"object {commit}".encode() not in header[:1] or f"tag {tag}".encode() not in header:
        return "was signed under another name, or for another commit"
    # In a separate repository: the registry's own configuration could name another program to verify signatures.
    with tempfile.TemporaryDirectory(prefix="cloudseg-verify-") as folder:
        _git("init", "--quiet", "--bare", folder=folder)
        written = _git("hash-object", "-t", "tag", "-w", "--stdin", folder=folder, stdin=content.stdout)
        name = written.stdout.decode().strip()
        done = _git(*_key_options(Path(folder), signers), "verify-tag", name, folder=folder)
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.decode(errors="replace").split())[:_SHOWN]
    return f"has no valid signature by a known key ({said})" if b"-----BEGIN" in content.stdout else "is not signed"


def _key_options(folder: Path, signers: str) -> Sequence[str]:
    """Prepare the known keys in a folder, and return the options by which git uses them."""
    keys = folder / "signers"
    keys.write_bytes(_read_signers(signers))
    if not keys.read_bytes().startswith(_PGP):
        return "-c", "gpg.ssh.program=ssh-keygen", "-c", f"gpg.ssh.allowedSignersFile={keys}"
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    _run(["gpg", "--homedir", str(home), "--batch", "--quiet", "--import", str(keys)], b"", {})
    wrapper = folder / "gpg"
    wrapper.write_text(f'#!/bin/sh\nexec gpg --homedir "{home}" --batch --no-auto-key-retrieve "$@"\n')
    wrapper.chmod(0o700)
    return "-c", f"gpg.program={wrapper}", "-c", "gpg.minTrustLevel=undefined"


def _read_signers(signers: str) -> bytes:
    if " " in signers.strip():
        return signers.encode() + b"\n"
    try:
        return Path(signers).read_bytes()
    except OSError as error:
        raise RegistryError(
            f"CLOUDSEG_MODEL_SIGNERS={signers} cannot be read: {error.strerror}; it must be the path of a file with "
            "the keys on the workers, or its content"
        ) from None


def _git(*arguments: str, folder: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    isolated = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return _run(["git", "-c", "safe.directory=*", "-C", folder, *arguments], stdin, isolated)


def _run(command: list[str], stdin: bytes, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603
            command,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
            env={**os.environ, "LC_ALL": "C", **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(
            f"CLOUDSEG_MODEL_REVISIONS needs {command[0]} on the workers, which cannot be used: {error}; install it "
            "there, or set CLOUDSEG_MODEL_REVISIONS=any"
        ) from None
