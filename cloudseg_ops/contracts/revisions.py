"""The grammar of revisions and model addresses, which is checked before a name is passed to git."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.errors import InvalidRevisionError

# The subset of git-check-ref-format(1) that needs no quoting; git would read a leading '-' as an option. Also a JSON
# schema pattern, so that the trigger form refuses other names. The last group stops Python's `$` from accepting a
# trailing line end.
REVISION_PATTERN = r"^(?!.*(?:\.\.|//|/\.|\.lock/))(?!.*(?:\.|/|\.lock)$)[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,199}$(?!\n)"
_FOLDER = r"[A-Za-z0-9_][A-Za-z0-9._/-]*"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_/-]*[A-Za-z0-9])?"
_VERSION = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
# A revision, or a name of GTO's (gto/constants.py), with ':' as people write it or with '=' as in GTO's tags.
ADDRESS_PATTERN = (
    r"^(?=.{1,200}$)(?!.*(?:\.\.|//|/\.|\.lock/|\.lock[:=]))(?!.*(?:\.|/|\.lock)$)"
    rf"(?:[A-Za-z0-9_][A-Za-z0-9._/+@-]*|(?:{_FOLDER}[:=])?{_NAME}(?:@{_VERSION}|#{_NAME}(?:#[0-9]{{1,9}})?)?)$(?!\n)"
)
COMMIT_PATTERN = r"^[0-9a-f]{40}$"
OFFERED_TAGS = 40
OFFERED_BRANCHES = 10
_REVISION = re.compile(REVISION_PATTERN)
_ADDRESS = re.compile(ADDRESS_PATTERN)
_ARTIFACT = re.compile(
    rf"(?:(?P<folder>{_FOLDER})[:=])?(?P<name>{_NAME})"
    rf"(?:@(?P<version>{_VERSION})|#(?P<stage>{_NAME})(?:#(?P<number>[0-9]{{1,9}}))?)?"
)
_NEWEST = ("latest", "greatest")
_FIRST_BRANCHES = ("main", "master")


def check_revision(text: str) -> str:
    """Validate the name of a revision (a tag, a branch or a commit) and return it.

    Raises:
        InvalidRevisionError: The name is not valid.

    >>> check_revision("v1.2.0")
    'v1.2.0'
    """
    if not _REVISION.fullmatch(text):
        raise InvalidRevisionError(
            f"model revision {text[:80]!r} cannot be a tag, a branch or a commit; use up to 200 letters, digits and "
            "._/+@-, beginning with a letter, a digit or _"
        )
    return text


def is_revision(text: object) -> bool:
    """Return whether a value is a valid name of a revision."""
    return isinstance(text, str) and _REVISION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """What a run asks the registry for: an artifact, one of its versions or stages, or a revision.

    Attributes:
        text: The address as it was written.
        artifact: GTO's full name of the artifact, `name` or `folder:name`; None if the text can only be a revision.
        folder: The folder of the artifact's dvc.yaml, from the root of the git repository; empty: the root.
        name: The artifact's name in dvc.yaml.
        version: A version of the artifact, such as `v1.2.0`; None: another kind, or the newest.
        stage: A stage such as `prod`.
        number: GTO's number of one assignment of the stage.
        newest: The newest version is asked for by name, as in `clouds@latest`.
    """

    text: str
    artifact: str | None = None
    folder: str = ""
    name: str = ""
    version: str | None = None
    stage: str | None = None
    number: int | None = None
    newest: bool = False

    @property
    def may_be_revision(self) -> bool:
        """Whether git may know a tag, a branch or a commit of this name."""
        return is_revision(self.text)

    @property
    def canonical(self) -> str:
        """The address in the form of GTO's: `clouds`, `ml/sky:clouds@v1.2.0`, `clouds#prod` or `clouds#prod#3`."""
        if self.artifact is None:
            return self.text
        stage = f"#{self.stage}{'' if self.number is None else f'#{self.number}'}"
        return self.artifact + (stage if self.stage else f"@{self.version}" if self.version else "")

    @property
    def tag(self) -> str:
        """The name of the git tag that this address would be, as GTO writes it."""
        return self.text.replace(":", "=")


def parse_address(text: str) -> ModelAddress:
    """Validate the address of a model and return its parts. Nothing is looked up.

    Raises:
        InvalidRevisionError: The address is not valid.

    >>> parse_address("ml/sky:clouds#prod").stage
    'prod'
    """
    if not _ADDRESS.fullmatch(text):
        raise InvalidRevisionError(
            f"model revision {text[:80]!r} cannot be a tag, a branch or a commit, nor an artifact (name, name@v1.2.0, "
            "name#stage, folder:name); use up to 200 letters, digits and ._/+@#:=-, beginning with a letter, a digit "
            "or _"
        )
    found = _ARTIFACT.fullmatch(text)
    if found is None:
        return ModelAddress(text)
    folder, name, version, stage, number = found.group("folder", "name", "version", "stage", "number")
    # dvc writes `ml/sky/dvc.yaml:clouds` as well.
    folder = re.sub(r"(?:^|/)dvc\.yaml$", "", folder or "").rstrip("/")
    return ModelAddress(
        text,
        artifact=f"{folder}:{name}" if folder else name,
        folder=folder,
        name=name,
        version=None if version in _NEWEST else version,
        stage=stage,
        number=int(number) if number else None,
        newest=version in _NEWEST,
    )


def is_address(text: object) -> bool:
    """Return whether a value is a valid address of a model."""
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


def newest_first(tags: Iterable[str]) -> list[str]:
    """Return tags sorted by the version in them, highest first; tags without a version come last.

    >>> newest_first(["v9", "model-v10", "v10rc1", "old"])
    ['model-v10', 'v10rc1', 'v9', 'old']
    """
    return sorted(tags, key=_by_version, reverse=True)


def offer(tags: Iterable[str], branches: Iterable[str], addresses: Iterable[str] = ()) -> list[str]:
    """Return what a trigger form offers: stages and versions of artifacts, the newest tags, then branches.

    Names outside the grammar are left out, because a run would refuse them.

    Args:
        tags: Tags of the registry, without those that are GTO's.
        branches: All branches of the registry, of which `main` comes first.
        addresses: Stages and versions of artifacts, in their order.

    Returns:
        At most 40 addresses and tags and 10 branches, each name once.
    """
    first = [*filter(is_address, addresses), *newest_first(filter(is_revision, tags))][:OFFERED_TAGS]
    then = sorted(filter(is_revision, branches), key=lambda name: (name not in _FIRST_BRANCHES, name))
    return list(dict.fromkeys([*first, *then[:OFFERED_BRANCHES]]))


def _by_version(tag: str) -> tuple[Any, str]:
    # Imported here because the engine's image, which needs only the grammar, may lack it.
    from packaging.version import InvalidVersion, Version

    # The text before the first digit is a name: `v2`, `model-v2`, `release/2.0`.
    found = re.search(r"\d.*", tag)
    try:
        return Version(found[0] if found else ""), tag
    except InvalidVersion:
        return Version("0.dev0"), tag
