"""Lines as a stream of bytes that an upload can draw on, never held as a whole."""

from __future__ import annotations

import io
from collections.abc import Iterable


class LineStream(io.RawIOBase):
    """Reads lines as UTF-8, each with its line end.

    It holds what one read asks for and the rest of a line, and cannot be rewound: a resumable upload keeps the piece
    that it may have to resend.

    Args:
        lines: Without their line ends.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        self._lines = iter(lines)
        self._rest = bytearray()
        self._position = 0

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read exactly `size` bytes, or fewer at the end alone; -1: all."""
        rest = self._rest
        while size < 0 or len(rest) < size:
            line = next(self._lines, None)
            if line is None:
                break
            rest += line.encode()
            rest += b"\n"
        taken = bytes(rest[:size]) if size >= 0 else bytes(rest)
        del rest[: len(taken)]
        self._position += len(taken)
        return taken
