"""Activates a kept release and tests it, both for deployments and for rollbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cloudseg_delivery.bucket import plugins_of
from cloudseg_delivery.changes import Change, change
from cloudseg_delivery.deployment import Deployment
from cloudseg_delivery.records import Release, owned_files
from cloudseg_delivery.smoke import smoke_test


def activate(deployment: Deployment, release: Release, before: Sequence[Release], *, resume: bool) -> bool:
    """Switch an environment to a release and test it. The caller has paused the DAG, so that no run starts meanwhile.

    Packages and variables are set before the files that need them are copied, and obsolete ones removed afterwards, so
    that the DAG can be parsed at all times.

    Args:
        deployment: The environment.
        release: The release, which is kept in the bucket.
        before: Releases that may have left files, packages or variables in the environment.
        resume: Whether to resume a paused DAG for its dry run.

    Returns:
        Whether a dry run was made.

    Raises:
        SmokeTestError: The release does not work.
        DeliveryError: The release could not be activated.
    """
    environment = deployment.settled()
    packages = change(environment.packages, release.packages, _keys(before, lambda old: old.packages))
    variables = change(environment.variables, release.variables, _keys(before, lambda old: old.variables))
    deployment.programs.report(f"• PyPI packages: {_describe_change(packages)}")
    deployment.programs.report(f"• variables: {_describe_change(variables)}")
    _change(deployment, packages.first, variables.first)
    deployment.programs.report(f"• files of {release.name}")
    deployment.bucket.activate_files(release, owned_files(before))
    _change(deployment, packages.last, variables.last)
    if _plugins_differ(release, before):
        # The restart by the change of variables was too early: the plugins had not been copied yet.
        deployment.settled()
        deployment.composer.restart_web_server()
    if deployment.programs.dry_run:
        return False
    return smoke_test(deployment.airflow, deployment.programs, release, deployment.patience, resume=resume)


def _change(deployment: Deployment, packages: Change, variables: Change) -> None:
    if packages:
        deployment.composer.change_packages(packages)
    if variables:
        # Composer takes one change at a time.
        deployment.settled()
        deployment.composer.change_variables(variables)


def _keys(releases: Sequence[Release], mapping: Callable[[Release], Mapping[str, str]]) -> list[str]:
    return [name for release in releases for name in mapping(release)]


def _plugins_differ(release: Release, before: Sequence[Release]) -> bool:
    plugins = plugins_of(release.files)
    return any(plugins_of(old.files) != plugins for old in before) if before else bool(plugins)


def _describe_change(found: Change) -> str:
    return ", ".join([*found.set, *(f"without {name}" for name in found.remove)]) or "unchanged"
