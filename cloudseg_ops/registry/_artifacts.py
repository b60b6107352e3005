"""Artifacts, versions and stages of a registry, which GTO keeps as annotated git tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cloudseg_ops.contracts.errors import RegistryError, UnknownRevisionError
from cloudseg_ops.contracts.revisions import ModelAddress, newest_first

_NAMED = 20


def find_commit(git: Any, address: ModelAddress, where: str) -> str | None:
    """Return the commit that an artifact, a version or a stage means now.

    Args:
        git: The repository with all of its tags, as `scmrepo.git.Git`.
        address: The address.
        where: The repository, for messages.

    Returns:
        The commit; None if GTO does not know the artifact.

    Raises:
        UnknownRevisionError: The artifact has no such version or stage, or it was revoked or deprecated.
    """
    artifact = _read_state(git).get(address.artifact) if address.artifact else None
    if artifact is None or not artifact.is_registered:
        return None
    if tag := _deprecation(artifact):
        raise UnknownRevisionError(
            f"{where}: the artifact {address.artifact!r} is deprecated, by the tag {tag}; use another model, or "
            "register a new version of it (`gto register`)"
        )
    if address.stage and address.number is not None:
        return _find_assignment(artifact, address, where)
    if address.stage:
        return _find_stage(artifact, address, where)
    return _find_version(artifact, address, where)


def _read_state(git: Any) -> dict[str, Any]:
    from gto.base import BaseRegistryState
    from gto.config import RegistryConfig
    from gto.exceptions import GTOException
    from gto.tag import TagArtifactManager, TagStageManager, TagVersionManager

    # Not gto.registry.GitRegistry, which reads the configuration in the working copy.
    state = BaseRegistryState()
    try:
        for manager in (TagArtifactManager, TagVersionManager, TagStageManager):
            state = manager(scm=git, config=RegistryConfig()).update_state(state)
    except GTOException as error:
        raise RegistryError(
            f"GTO cannot read the tags of the registry: {error}; delete the tag that is wrong (`gto history` lists "
            "them), or ask for a tag, a branch or a commit"
        ) from None
    return dict(state.artifacts)


def _deprecation(artifact: Any) -> str | None:
    """Return the tag that deprecates an artifact, unless something was registered or assigned after it."""
    if not artifact.deprecations:
        return None
    last = artifact.deprecations[-1]
    later = any(event.created_at > last.created_at for event in artifact.get_events())
    return None if later else str(last.tag)


def _find_version(artifact: Any, address: ModelAddress, where: str) -> str:
    if address.version is None:
        newest = artifact.get_latest_version(registered_only=True)
        if newest is None:
            raise _unknown(artifact, address, where, "has no version that is not revoked")
        return str(newest.commit_hexsha)
    found = [version for version in artifact.versions if version.version == address.version]
    if not found:
        raise _unknown(artifact, address, where, f"has no version {address.version!r}")
    _check_not_revoked(artifact, found[0], address, where)
    return str(found[0].commit_hexsha)


def _find_stage(artifact: Any, address: ModelAddress, where: str) -> str:
    """Return the commit that was assigned to the stage last and still is, unless its version was revoked."""
    active = [
        (stage.assignments[-1], version)
        for version in artifact.versions
        for stage in version.get_vstages()
        if stage.stage == address.stage and version.is_active
    ]
    if not active:
        raise _unknown(artifact, address, where, f"has no version in the stage {address.stage!r}")
    # Two tags of the same second are ordered by GTO's number.
    return str(max(active, key=lambda found: (found[0].created_at, _number(found[0].tag)))[0].commit_hexsha)


def _find_assignment(artifact: Any, address: ModelAddress, where: str) -> str:
    for version in artifact.versions:
        for stage in version.stages.values():
            for event in stage.assignments:
                if stage.stage == address.stage and _number(event.tag) == address.number:
                    _check_not_revoked(artifact, version, address, where)
                    return str(event.commit_hexsha)
    raise _unknown(artifact, address, where, f"was never assigned to {address.stage!r} as number {address.number}")


def _check_not_revoked(artifact: Any, version: Any, address: ModelAddress, where: str) -> None:
    if not version.is_active:
        raise _unknown(
            artifact, address, where, f"has the version {version.version!r} only as revoked, by the tag "
            f"{version.deregistrations[-1].tag}"
        )  # fmt: skip


def _number(tag: str) -> int:
    from gto.constants import COUNTER
    from gto.tag import parse_name

    return int(parse_name(tag).get(COUNTER, 0))


def _unknown(artifact: Any, address: ModelAddress, where: str, what: str) -> UnknownRevisionError:
    name = address.artifact
    exists = _first([*_stages(artifact), *_versions(artifact)]) or "nothing that can be used"
    return UnknownRevisionError(
        f"{where}: the artifact {name!r} {what} (asked for: {address.text}); it has {exists}. Use one of these, or "
        "register or assign it with `gto` and push the tag"
    )


def has_artifacts(tags: Iterable[str]) -> bool:
    """Return whether a tag has the form of GTO's."""
    from gto.tag import parse_name

    return any(parse_name(tag, raise_on_fail=False) for tag in tags)


def list_names(git: Any) -> tuple[list[str], list[str]]:
    """Return the addresses of artifacts that a run can use, and the tags that are not GTO's.

    Args:
        git: The repository with all of its tags, as `scmrepo.git.Git`.

    Returns:
        Stages, then versions, the newest of each artifact first; the other tags.
    """
    from gto.tag import parse_name

    artifacts = _read_state(git)
    usable = [artifact for _, artifact in sorted(artifacts.items()) if _deprecation(artifact) is None]
    others = [tag for tag in git.list_tags() if parse_name(tag, raise_on_fail=False).get("name") not in artifacts]
    stages = [address for artifact in usable for address in _stages(artifact)]
    return [*stages, *(address for artifact in usable for address in _versions(artifact))], others


def describe_names(git: Any) -> str:
    """Describe a registry's stages, versions and newest tags in clauses, for the message about an unknown revision."""
    addresses, others = list_names(git)
    told = [f"its artifacts have {_first(addresses)}"] if addresses else []
    if others or not addresses:
        told.append(f"its tags are {_first(newest_first(others))}" if others else "it has no tags")
    return "; ".join(told)


def _stages(artifact: Any) -> list[str]:
    return sorted(f"{artifact.artifact}#{stage}" for stage in artifact.get_vstages())


def _versions(artifact: Any) -> list[str]:
    return [f"{artifact.artifact}@{version.version}" for version in artifact.get_versions()]


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
