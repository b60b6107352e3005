"""Messages between the engine and its helper processes: a small header, and optionally the raw data of an array."""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudseg_ops.engine.memory.arrays import empty

_LENGTH = struct.Struct("!I")

Array = npt.NDArray[Any]


class Channel:
    """One end of a connected pair of stream sockets; any number of threads may send, and one may receive.

    Messages are pickled, which is safe because no other program can access the pair of sockets.

    Args:
        end: The socket, which the channel takes over and closes.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()

    def send(self, message: tuple[Any, ...], array: Array | None = None) -> None:
        """Send a message, optionally with an array.

        Raises:
            OSError: The other end is closed.
        """
        shape = None if array is None else (array.shape, array.dtype.str)
        header = pickle.dumps((message, shape), protocol=pickle.HIGHEST_PROTOCOL)
        with self._sending:
            self._end.sendall(_LENGTH.pack(len(header)) + header)
            if array is not None and array.size:
                self._end.sendall(np.ascontiguousarray(array).data.cast("B"))

    def receive(self) -> tuple[tuple[Any, ...], Array | None]:
        """Wait for a message, and return it with its array, or None.

        Raises:
            EOFError: The other end is closed.
        """
        (length,) = _LENGTH.unpack(self._exactly(bytearray(_LENGTH.size)))
        message, shape = pickle.loads(self._exactly(bytearray(length)))  # noqa: S301  see the class
        if shape is None:
            return message, None
        array = empty(shape[0], shape[1])
        if array.size:
            self._exactly(array.data.cast("B"))
        return message, array

    def close(self) -> None:
        """Close this end; receiving at the other end raises `EOFError`."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _exactly(self, buffer: Any) -> Any:
        view = memoryview(buffer)
        while view:
            try:
                count = self._end.recv_into(view)
            except OSError as error:
                raise EOFError("the other process is gone") from error
            if not count:
                raise EOFError("the other process is gone")
            view = view[count:]
        return buffer
