"""Sessions of resumable uploads.

Source: https://cloud.google.com/storage/docs/performing-resumable-uploads. Sessions are kept in memory: after a
restart the emulator returns 404 for them, as Cloud Storage does for an expired session.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ApiError

if TYPE_CHECKING:
    from .payloads import PayloadWriter
    from .preconditions import Preconditions
    from .records import ObjectRecord
    from .store import Store

QUANTUM = 256 * 1024
"""Every chunk except the last ends at a multiple of this number of bytes."""
_MAX_FINISHED = 1000
"""Number of finished sessions whose result can still be queried."""


@dataclass
class Session:
    """A resumable upload: the object to create, and the bytes received so far."""

    bucket: str
    resource: dict[str, Any]
    conditions: Preconditions
    writer: PayloadWriter
    announced: int | None = None
    done: ObjectRecord | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class ContentRange:
    """A ``Content-Range``: the bytes in a request (None for a status query or an end) and the total size, if known."""

    first: int | None
    last: int | None
    total: int | None

    @classmethod
    def of(cls, header: str | None, length: int | None) -> ContentRange:
        """Parse the header; a request without one contains the whole object.

        Raises:
            ApiError: 400 if the header is malformed.
        """
        if header is None:
            return cls(0, None, length)
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+|\*)|\*)/(\d+|\*)", header)
        if match is None:
            raise ApiError(400, f"Failed to parse Content-Range header: {header!r}.")
        first, last, total = match.groups()
        return cls(
            None if first is None else int(first),
            None if last in {None, "*"} else int(last),
            None if total == "*" else int(total),
        )


class Sessions:
    """The open sessions, and the most recent finished ones."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, Session] = {}
        self._done: OrderedDict[str, Session] = OrderedDict()

    def start(self, bucket: str, resource: dict[str, Any], conditions: Preconditions, announced: int | None) -> str:
        """Open a session and return its id.

        Args:
            bucket: the bucket of the object.
            resource: the object resource that the client sent, with its name.
            conditions: the preconditions of the upload.
            announced: the size in bytes that the client announced; None if it did not.
        """
        upload_id = uuid.uuid4().hex
        self._open[upload_id] = Session(bucket, resource, conditions, self._store.writer(), announced)
        return upload_id

    def get(self, upload_id: str) -> Session:
        """Return an open or finished session.

        Raises:
            ApiError: 404 if there is no such session.
        """
        session = self._open.get(upload_id) or self._done.get(upload_id)
        if session is None:
            raise ApiError(404, f"No such upload session: {upload_id}.")
        return session

    def finish(self, upload_id: str, record: ObjectRecord) -> None:
        """Close a session and keep its result."""
        session = self._open.pop(upload_id)
        session.done = record
        self._done[upload_id] = session
        while len(self._done) > _MAX_FINISHED:
            self._done.popitem(last=False)

    def drop(self, upload_id: str, *, payload: bool = True) -> None:
        """Remove an open session and, with ``payload``, its bytes."""
        session = self._open.pop(upload_id, None)
        if session is not None and payload:
            session.writer.discard()

    def close(self) -> None:
        """Remove all open sessions."""
        for upload_id in list(self._open):
            self.drop(upload_id)
