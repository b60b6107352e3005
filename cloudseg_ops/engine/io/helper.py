"""Downloads, decodes, encodes and uploads in a helper process, which has its own GIL."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import CloudsegError, EngineError, HelperLostError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.io.channel import Array, Channel
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.io.threads import Fetched, Need, Published, ThreadIo
from cloudseg_ops.engine.memory.process_memory import tune_malloc
from cloudseg_ops.engine.process.options import EngineOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """The configuration of a helper process.

    Attributes:
        options: The engine's options.
        ref: The run's model.
        largest_image: Maximum number of bytes for decoding one photograph.
    """

    options: EngineOptions
    ref: ModelRef
    largest_image: int


_Message = tuple[tuple[Any, ...], Array | None]
"""A message with its array, or None."""


@dataclass(slots=True)
class _Call:
    reply: Callable[[Any], None]
    need: Need | None = None


class ProcessIo:
    """A helper process that does the work in its own threads.

    The helper ends whenever this process ends, for whatever reason.

    Args:
        setup: Configuration of the helper.
        on_ready: Called when the helper is ready for work.
    """

    def __init__(self, setup: Setup, on_ready: Callable[[], None] = lambda: None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  this very program
                [sys.executable, "-m", "cloudseg_ops.engine.io.helper", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._channel = Channel(ours)
        self._on_ready = on_ready
        self._lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._tickets = itertools.count()
        self._closed = False
        self.alive = True
        # A queue, so that a helper that reads slowly does not block callers, especially compute workers.
        self._outbox: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._outbox.put(((setup,), None))
        for work, name in ((self._send, "helper-out"), (self._receive, "helper-in")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Start a download."""
        self._call(_Call(reply, need), "fetch", item)

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Start an upload."""
        details = (computed.item, computed.mask_size, computed.began, computed.range_used)
        self._call(_Call(reply), "publish", *details, array=computed.prediction.values)

    def cpu_seconds(self) -> float | None:
        """Return the CPU seconds that the process has used, or None if it has ended."""
        try:
            # The process name, in parentheses, may contain spaces; fields 14 and 15 are user and system time (proc(5)).
            fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Kill the process."""
        self._closed = True
        self._outbox.put(None)
        self._channel.close()
        # It may hang in an upload, and its data is no longer needed.
        self.process.kill()
        self.process.wait()

    def _call(self, call: _Call, *message: Any, array: Array | None = None) -> None:
        ticket = next(self._tickets)
        with self._lock:
            alive = self.alive
            if alive:
                self._calls[ticket] = call
        if not alive:
            call.reply(self._lost_error())
            return
        self._outbox.put(((ticket, *message), array))

    def _send(self) -> None:
        while message := self._outbox.get():
            try:
                self._channel.send(*message)
            except OSError:
                # The receiving thread notices this too, and fails all calls that are waiting.
                return

    def _receive(self) -> None:
        try:
            while True:
                (ticket, kind, *rest), array = self._channel.receive()
                self._handle(ticket, kind, rest, array)
        except EOFError:
            self._fail_all()

    def _handle(self, ticket: int, kind: str, rest: list[Any], array: Array | None) -> None:
        if kind == "ready":
            self._on_ready()
            return
        if kind == "need":
            with self._lock:
                call = self._calls.get(ticket)
            if call and call.need:
                call.need(rest[0], lambda: self._outbox.put(((ticket, "go"), None)))
            return
        with self._lock:
            call = self._calls.pop(ticket, None)
        if call:
            call.reply(rest[0] if array is None else DecodedImage(array, *rest))

    def _fail_all(self) -> None:
        with self._lock:
            self.alive = False
            calls, self._calls = list(self._calls.values()), {}
        if self._closed:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            # To get the exit status for the message.
            self.process.wait(1)
        _log.warning("%s", self._lost_error())
        for call in calls:
            call.reply(self._lost_error())

    def _lost_error(self) -> HelperLostError:
        return HelperLostError(
            f"helper process {self.process.pid}, which downloads and uploads, ended with status {self.process.poll()}, "
            "probably because it ran out of memory; other processes take over. Give the pod more memory, or lower "
            "--memory"
        )


def _serve(channel: Channel) -> None:
    """Serve the engine's requests until it closes the channel."""
    from cloudseg_ops.engine.io.image_work import ImageWork
    from cloudseg_ops.engine.process.logs import set_up_logging
    from cloudseg_ops.storage import Store

    (setup,), _ = channel.receive()
    options: EngineOptions = setup.options
    set_up_logging(options.log_format)
    store = Store.open(connections=options.downloads + options.uploads)
    io = ThreadIo(ImageWork(options, store, setup.ref, setup.largest_image), options.downloads, options.uploads)
    waiting: dict[int, Callable[[], None]] = {}

    def fetch(ticket: int, item: Item) -> None:
        def need(amount: int, granted: Callable[[], None]) -> None:
            waiting[ticket] = granted
            channel.send((ticket, "need", amount))

        def reply(what: Fetched) -> None:
            if isinstance(what, DecodedImage):
                channel.send((ticket, "image", what.full_size, what.range_used, what.crc32c), what.pixels)
            else:
                channel.send((ticket, "reply", _portable(what)))

        io.fetch(item, need, reply)

    def publish(ticket: int, computed: Computed) -> None:
        io.publish(computed, lambda what: channel.send((ticket, "reply", _portable(what))))

    channel.send((-1, "ready"))
    while True:
        (ticket, kind, *rest), array = channel.receive()
        if kind == "go":
            waiting.pop(ticket)()
        elif kind == "fetch":
            fetch(ticket, rest[0])
        elif array is not None:
            item, *others = rest
            publish(ticket, Computed(item, Prediction(array), *others))


def _portable(what: Result | Exception) -> Result | CloudsegError:
    """Return errors of other libraries as `EngineError`, because they may not be picklable."""
    if isinstance(what, Result | CloudsegError):
        return what
    return EngineError(f"{type(what).__name__}: {what}")


def _main() -> None:
    tune_malloc()
    try:
        _serve(Channel(socket.socket(fileno=int(sys.argv[1]))))
    except (EOFError, KeyboardInterrupt):
        # The engine has ended, so there is nothing left to do.
        pass
    finally:
        os._exit(0)


if __name__ == "__main__":
    _main()
