"""Downloads, decodes, encodes and uploads in threads of this process."""

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
"""Asks for so many bytes; the second argument is called once they are granted."""


class Work(Protocol):
    """What is done for one image; called by many threads."""

    def fetch(self, item: Item, reserve: Callable[[int], None]) -> DecodedImage | Result:
        """Download and decode, or find out that there is nothing to segment."""

    def publish(self, computed: Computed) -> Result:
        """Encode and upload."""

    def quarantine(self, item: Item, reason: str, began: float) -> Result:
        """Put an image aside that cannot be segmented."""


class ImageIo(Protocol):
    """Does that work, here or in another process. Replies arrive in any thread, once for each call."""

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Begin a download; before it decodes, it asks for memory by `need`."""

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Begin an upload."""

    def close(self) -> None:
        """Take nothing on any more; what was begun may get no reply."""


class RejectingIo(ImageIo, Protocol):
    """One that can put images aside as well."""

    def quarantine(self, item: Item, reason: str, began: float, reply: Callable[[Published], None]) -> None:
        """Begin to put an image aside."""


class ThreadIo:
    """Does the work in threads.

    Args:
        work: The work on one image.
        downloads: Threads that download and decode.
        uploads: Threads that encode and upload.
    """

    def __init__(self, work: Work, downloads: int, uploads: int) -> None:
        self._work = work
        self._downloads = ThreadPoolExecutor(downloads, "download")
        self._uploads = ThreadPoolExecutor(uploads, "upload")
        self._closed = False

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Begin a download."""
        self._submit(self._downloads, self._fetch, item, need, reply)

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Begin an upload."""
        self._submit(self._uploads, self._reply, lambda: self._work.publish(computed), reply)

    def quarantine(self, item: Item, reason: str, began: float, reply: Callable[[Published], None]) -> None:
        """Begin to put an image aside."""
        self._submit(self._uploads, self._reply, lambda: self._work.quarantine(item, reason, began), reply)

    def close(self) -> None:
        """Let threads end when they have done what they are at."""
        self._closed = True
        self._downloads.shutdown(wait=False, cancel_futures=True)
        self._uploads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[..., None], *arguments: object) -> None:
        try:
            pool.submit(work, *arguments)
        except RuntimeError:
            # Closed in between: nobody waits for this image any more.
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
        except Exception as error:  # noqa: BLE001  whatever befalls one image, the others go on
            fetched = error
        reply(fetched)

    def _reply(self, work: Callable[[], Result], reply: Callable[[Published], None]) -> None:
        try:
            published: Published = work()
        except Exception as error:  # noqa: BLE001  as above
            published = error
        reply(published)
