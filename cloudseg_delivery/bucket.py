"""The environment's bucket: the releases stored under `cloudseg/releases/`, and the one that is active.

Composer hands `dags/` and `plugins/` to Airflow, and nothing of `cloudseg/`. A release is uploaded there first, so that
to bring it into use and to go back to it are the same copies within the bucket, for which nothing else is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudseg_delivery.changes import gone
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.records import Release, State
from cloudseg_delivery.tree import ROOTS, beside_packages, packages_of

_SYNC = ("gcloud", "storage", "rsync", "--recursive", "--delete-unmatched-destination-objects", "--checksums-only")


class Bucket:
    """A bucket of a Composer environment.

    Args:
        programs: By which gcloud is called.
        uri: `gs://…`
    """

    def __init__(self, programs: Programs, uri: str) -> None:
        self._programs = programs
        self._uri = uri
        self._home = f"{uri}/cloudseg"
        self._generation = ""
        self.last = State()
        """The record as it was last read or written."""

    def read_state(self) -> State:
        """Read the environment's state, and remember the record's generation."""
        words = ("gcloud", "storage", "objects", "describe", f"{self._home}/state.json", "--format=value(generation)")
        self._generation = self._programs.ask_for(*words) or "0"
        self.last = State()
        if self._generation != "0":
            uri = f"{self._home}/state.json#{self._generation}"
            self.last = State.from_json(self._programs.ask("gcloud", "storage", "cat", uri))
        return self.last

    def write_state(self, state: State) -> None:
        """Write the environment's state, unless another process has written since.

        Raises:
            ConcurrentDeliveryError: Another delivery has: it is in progress.
        """
        self._upload(state.to_json(), f"{self._home}/state.json", f"--if-generation-match={self._generation}")
        if not self._programs.dry_run:
            self.read_state()

    def keep(self, release: Release, tree: Path) -> None:
        """Upload a release, its files and its record; one of the same name is replaced."""
        folder = f"{self._home}/releases/{release.name}"
        for root in ROOTS:
            if (tree / root).is_dir():
                self._programs.do(*_SYNC, str(tree / root), f"{folder}/{root}")
        self._upload(release.to_json(), f"{folder}/release.json")

    def read_release(self, name: str) -> Release | None:
        """Read a stored release; None if it does not exist."""
        said = self._programs.ask_for("gcloud", "storage", "cat", f"{self._home}/releases/{name}/release.json")
        return None if said is None else Release.from_json(said)

    def forget(self, names: Iterable[str]) -> None:
        """Remove releases that no rollback needs."""
        for name in names:
            self._remove(f"{self._home}/releases/{name}/", "--recursive")

    def bring_into_use(self, release: Release, owned: Iterable[str]) -> None:
        """Copy the `dags/` and `plugins/` of a stored release into place.

        The package's folders are cloudseg's whole, so what is no longer there is deleted. Next to them are files of
        others: there only what earlier releases brought is taken away.

        Args:
            release: The release.
            owned: Files that earlier releases brought.
        """
        before, folder = set(owned), f"{self._home}/releases/{release.name}"
        for package in packages_of(release.files):
            self._programs.do(*_SYNC, f"{folder}/{package}", f"{self._uri}/{package}")
        # DAG files after what they import, and the end of old ones last.
        for root in ROOTS:
            files = [file for file in beside_packages(release.files) if file.startswith(f"{root}/")]
            for file in files:
                self._programs.do("gcloud", "storage", "cp", f"{folder}/{file}", f"{self._uri}/{file}")
        for file in gone(beside_packages(before), release.files):
            self._remove(f"{self._uri}/{file}")
        for package in gone(packages_of(before), packages_of(release.files)):
            self._remove(f"{self._uri}/{package}/", "--recursive")

    def _remove(self, uri: str, *options: str) -> None:
        # Already gone is well, for a delivery that was cut short.
        listed = self._programs.ask_for("gcloud", "storage", "ls", uri)
        if listed:
            self._programs.do("gcloud", "storage", "rm", *options, uri)

    def _upload(self, text: str, uri: str, *options: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / uri.rpartition("/")[2]
            file.write_text(text, "utf-8")
            self._programs.do("gcloud", "storage", "cp", *options, str(file), uri)


def plugins_of(files: Mapping[str, str]) -> dict[str, str]:
    """The files of a release that the API server loads when it starts."""
    return {file: digest for file, digest in files.items() if file.startswith("plugins/")}
