"""Downloads, decodes, encodes and uploads in threads of the current process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from cloudseg_ops.contracts.errors import EngineError
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.io.items import Computed, Item

Fetched = DecodedImage | Result | Exception
Published = Result | Exception
Need = Callable[[int, Callable[[], None]], None]
"""Requests a number of bytes of memory; the second argument is called once they are granted."""


class Work(Protocol):
    """The work on one image; must be thread-safe."""

    def fetch(self, item: Item, reserve: Callable[[int], None]) -> DecodedImage | Result:
        """Download and decode an image; return its result if there is nothing to segment."""

    def publish(self, computed: Computed) -> Result:
        """Encode and upload a mask."""

    def quarantine(self, item: Item, reason: str, began: float) -> Result:
        """Quarantine an image that cannot be segmented."""


class ImageIo(Protocol):
    """Asynchronous interface to the work, here or in another process; calls `reply` once, in any thread."""

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Start a download; `need` is called to request memory before decoding."""

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Start an upload."""

    def close(self) -> None:
        """Accept no more work; calls in progress may get no reply."""


class RejectingIo(ImageIo, Protocol):
    """An `ImageIo` that can also quarantine images."""

    def quarantine(self, item: Item, reason: str, began: float, reply: Callable[[Published], None]) -> None:
        """Start to quarantine an image."""


class ThreadIo:
    """Does the work in threads of this process.

    Args:
        work: The work on one image.
        downloads: Number of threads that download and decode.
        uploads: Number of threads that encode and upload.
    """

    def __init__(self, work: Work, downloads: int, uploads: int) -> None:
        self._work = work
        self._downloads = ThreadPoolExecutor(downloads, "download")
        self._uploads = ThreadPoolExecutor(uploads, "upload")
        self._closed = False

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Start a download."""
        self._submit(self._downloads, self._fetch, item, need, reply)

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Start an upload."""
        self._submit(self._uploads, self._reply, lambda: self._work.publish(computed), reply)

    def quarantine(self, item: Item, reason: str, began: float, reply: Callable[[Published], None]) -> None:
        """Start to quarantine an image."""
        self._submit(self._uploads, self._reply, lambda: self._work.quarantine(item, reason, began), reply)

    def close(self) -> None:
        """Cancel pending work, and let the threads end after their current work."""
        self._closed = True
        self._downloads.shutdown(wait=False, cancel_futures=True)
        self._uploads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[..., None], *arguments: object) -> None:
        try:
            pool.submit(work, *arguments)
        except RuntimeError:
            # Closed in the meantime, so that no caller is waiting for this image.
            if not self._closed:
                raise

    def _fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        def reserve(amount: int) -> None:
            granted = threading.Event()
            need(amount, granted.set)
            granted.wait()
            if self._closed:
                raise EngineError("the run ended before this image was decoded")

        try:
            fetched: Fetched = self._work.fetch(item, reserve)
        except Exception as error:  # noqa: BLE001  an error in one image must not stop the others
            fetched = error
        reply(fetched)

    def _reply(self, work: Callable[[], Result], reply: Callable[[Published], None]) -> None:
        try:
            published: Published = work()
        except Exception as error:  # noqa: BLE001  as above
            published = error
        reply(published)
