"""Brings a kept release into use, and tries it: the same for a new one and for one that is gone back to."""

from __future__ import annotations

from collections.abc import Sequence

from cloudseg_ops.delivery.bucket import plugins_of
from cloudseg_ops.delivery.changes import Change, change
from cloudseg_ops.delivery.records import Release, owned_files
from cloudseg_ops.delivery.site import Site
from cloudseg_ops.delivery.smoke import smoke_test


def bring(site: Site, release: Release, before: Sequence[Release]) -> bool:
    """Make an environment that of a release, and try it.

    Packages and variables come first: old code does without new ones, new code does not. For the minutes between, code
    and image may be of two releases: where these do not fit, the engine refuses to work, and the chunk's retry does it.

    Args:
        site: The environment.
        release: The release; the bucket keeps it.
        before: Releases of which anything may be in the environment now.

    Returns:
        Whether a dry run was made.

    Raises:
        SmokeTestError: It does not work.
        DeliveryError: It could not be brought.
    """
    environment, composer, tell = site.composer.describe(), site.composer, site.programs.tell
    packages = change(environment.packages, release.packages, (name for old in before for name in old.packages))
    tell(f"• PyPI packages: {_in_words(packages)}")
    if packages:
        composer.change_packages(packages)
    variables = change(environment.variables, release.variables, (name for old in before for name in old.variables))
    tell(f"• variables: {_in_words(variables)}")
    if variables:
        composer.change_variables(variables)
    tell(f"• files of {release.name}")
    site.bucket.bring_into_use(release, owned_files(before))
    if _plugins_differ(release, before):
        # It restarted with the variables, and that was before the plugins came.
        composer.restart_web_server()
    if site.programs.dry_run:
        return False
    return smoke_test(site.airflow, site.programs, release, site.patience, unpause=site.target.unpause)


def _plugins_differ(release: Release, before: Sequence[Release]) -> bool:
    plugins = plugins_of(release.files)
    return any(plugins_of(old.files) != plugins for old in before) if before else bool(plugins)


def _in_words(found: Change) -> str:
    return ", ".join([*found.set, *(f"without {name}" for name in found.remove)]) or "unchanged"
