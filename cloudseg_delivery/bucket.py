"""The environment's bucket: the kept releases in `cloudseg/releases/`, and the active one in `dags/` and `plugins/`.

Composer syncs `dags/` and `plugins/` to Airflow, but not `cloudseg/`. A release is first uploaded there; activating it
and rolling back to it are then the same copies within the bucket.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudseg_delivery.changes import gone
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.records import Release, State
from cloudseg_delivery.tree import ROOTS, files_outside_package, packages_of

_SYNC = ("gcloud", "storage", "rsync", "--recursive", "--delete-unmatched-destination-objects", "--checksums-only")


class Bucket:
    """A bucket of a Composer environment.

    Args:
        programs: Runs gcloud.
        uri: The bucket, `gs://…`.
    """

    def __init__(self, programs: Programs, uri: str) -> None:
        self._programs = programs
        self._uri = uri
        self._root = f"{uri}/cloudseg"
        self._generation = ""
        self.last = State()
        """The state as it was last read or written."""

    def read_state(self) -> State:
        """Read the environment's state, and remember its generation for the next write."""
        command = ("gcloud", "storage", "objects", "describe", f"{self._root}/state.json", "--format=value(generation)")
        self._generation = self._programs.query_optional(*command) or "0"
        self.last = State()
        if self._generation != "0":
            uri = f"{self._root}/state.json#{self._generation}"
            self.last = State.from_json(self._programs.query("gcloud", "storage", "cat", uri))
        return self.last

    def write_state(self, state: State) -> None:
        """Write the environment's state, unless it has changed since it was last read.

        Raises:
            ConcurrentDeliveryError: The state has changed: another delivery is in progress.
        """
        self._upload(state.to_json(), f"{self._root}/state.json", f"--if-generation-match={self._generation}")
        if not self._programs.dry_run:
            self.read_state()

    def keep(self, release: Release, tree: Path) -> None:
        """Upload a release with its files and its record, replacing one of the same name."""
        folder = f"{self._root}/releases/{release.name}"
        for root in ROOTS:
            if (tree / root).is_dir():
                self._programs.run(*_SYNC, str(tree / root), f"{folder}/{root}")
        self._upload(release.to_json(), f"{folder}/release.json")

    def read_release(self, name: str) -> Release | None:
        """Return the record of a kept release; None if it does not exist."""
        text = self._programs.query_optional("gcloud", "storage", "cat", f"{self._root}/releases/{name}/release.json")
        return None if text is None else Release.from_json(text)

    def delete_releases(self, names: Iterable[str]) -> None:
        """Delete kept releases."""
        for name in names:
            self._remove(f"{self._root}/releases/{name}/", "--recursive")

    def activate_files(self, release: Release, owned: Iterable[str]) -> None:
        """Copy a kept release to `dags/` and `plugins/`, and delete files of earlier releases.

        The package's folders belong to cloudseg, so files that the release does not have are deleted there. Outside of
        them, only files from earlier releases are deleted.

        Args:
            release: The release.
            owned: Files from earlier releases.
        """
        before, folder = set(owned), f"{self._root}/releases/{release.name}"
        for package in packages_of(release.files):
            self._programs.run(*_SYNC, f"{folder}/{package}", f"{self._uri}/{package}")
        # Copy DAG files after what they import, and delete old files last.
        for root in ROOTS:
            files = [file for file in files_outside_package(release.files) if file.startswith(f"{root}/")]
            for file in files:
                self._programs.run("gcloud", "storage", "cp", f"{folder}/{file}", f"{self._uri}/{file}")
        for file in gone(files_outside_package(before), release.files):
            self._remove(f"{self._uri}/{file}")
        for package in gone(packages_of(before), packages_of(release.files)):
            self._remove(f"{self._uri}/{package}/", "--recursive")

    def _remove(self, uri: str, *options: str) -> None:
        # After an interrupted delivery, the object may already be gone.
        listed = self._programs.query_optional("gcloud", "storage", "ls", uri)
        if listed:
            self._programs.run("gcloud", "storage", "rm", *options, uri)

    def _upload(self, text: str, uri: str, *options: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / uri.rpartition("/")[2]
            file.write_text(text, "utf-8")
            self._programs.run("gcloud", "storage", "cp", *options, str(file), uri)


def plugins_of(files: Mapping[str, str]) -> dict[str, str]:
    """Return the plugin files of a release, which the API server loads when it starts."""
    return {file: digest for file, digest in files.items() if file.startswith("plugins/")}
