"""Artifacts, versions and stages of a registry, which GTO keeps as annotated git tags."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from cloudseg_ops.contracts.errors import UnknownRevisionError
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
    if not artifact.is_active:
        tag = artifact.deprecations[-1].tag
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
    from gto.tag import TagArtifactManager, TagStageManager, TagVersionManager

    # Not gto.registry.GitRegistry, which reads the configuration in the working copy.
    state = BaseRegistryState()
    for manager in (TagArtifactManager, TagVersionManager, TagStageManager):
        state = manager(scm=git, config=RegistryConfig()).update_state(state)
    return dict(state.artifacts)


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
    versions = [f"{name}@{version.version}" for version in artifact.get_versions()]
    stages = sorted(f"{name}#{stage}" for stage in artifact.get_vstages())
    exists = ", ".join([*stages, *versions][:_NAMED]) or "nothing that can be used"
    return UnknownRevisionError(
        f"{where}: the artifact {name!r} {what} (asked for: {address.text}); it has {exists}. Use one of these, or "
        "register or assign it with `gto` and push the tag"
    )


def group_tags(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the stages and versions that tags stand for, and the tags that are not GTO's.

    Only the names are known here, not the tags' dates: a version that has a tag which revokes it, or an artifact that
    has one which deprecates it, counts as such.

    Args:
        names: All tags of a registry.

    Returns:
        Stages, then versions, the newest first; the other tags.
    """
    from gto.constants import Action
    from gto.tag import parse_name

    others, deprecated = [], set()
    assigned: Counter[tuple[str, str]] = Counter()
    registered: defaultdict[str, list[str]] = defaultdict(list)
    revoked: set[tuple[str, str]] = set()
    for tag in names:
        parsed = parse_name(tag, raise_on_fail=False)
        name, action = parsed.get("name"), parsed.get("action")
        if action is None:
            others.append(tag)
        elif action == Action.DEPRECATE:
            deprecated.add(name)
        elif "stage" in parsed:
            assigned[name, parsed["stage"]] += 1 if action == Action.ASSIGN else -1
        elif action == Action.REGISTER:
            registered[name].append(parsed["version"])
        else:
            revoked.add((name, parsed["version"]))
    stages = [
        f"{name}#{stage}" for (name, stage), count in sorted(assigned.items()) if count > 0 and name not in deprecated
    ]
    versions = [
        f"{name}@{version}"
        for name in sorted(registered.keys() - deprecated)
        for version in newest_first(registered[name])
        if (name, version) not in revoked
    ]
    return [*stages, *versions], others


def describe_names(tags: Sequence[str]) -> str:
    """Describe a registry's stages, versions and newest tags in clauses, for the message about an unknown revision."""
    addresses, others = group_tags(tags)
    told = [f"its artifacts have {_first(addresses)}"] if addresses else []
    if others or not addresses:
        told.append(f"its tags are {_first(newest_first(others))}" if others else "it has no tags")
    return "; ".join(told)


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
