"""Addresses of a run's pages: paths alone, so that no host is ever written into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from cloudseg_ops.gallery.searching import Entry


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the pages of one run are.

    Attributes:
        root: Path that the gallery is mounted under, without a slash at its end, such as `/cloudseg`.
        dag_id: The run's DAG.
        run_id: The run.
    """

    root: str
    dag_id: str
    run_id: str

    @property
    def run(self) -> str:
        """What the addresses of all pages of the run begin with."""
        return f"{self.root}/dags/{quote(self.dag_id, safe='')}/runs/{quote(self.run_id, safe='')}"

    @property
    def style(self) -> str:
        """The style sheet."""
        return f"{self.root}/style.css"

    @property
    def progress(self) -> str:
        """The page that tells how far the run is."""
        return f"{self.run}/progress"

    def gallery(self, query: Mapping[str, str] | None = None) -> str:
        """A page of images."""
        return f"{self.run}/gallery" + (f"?{urlencode(query)}" if query else "")

    def image(self, entry: Entry) -> str:
        """The page of one image."""
        return f"{self.run}/images/{entry.chunk}/{entry.offset}/{entry.key}"

    def picture(self, entry: Entry, size: str) -> str:
        """The picture of one image, `small` or `large`."""
        return f"{self.image(entry)}/{size}"
