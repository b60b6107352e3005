"""The engine's entry point: runs a chunk by its command line, and returns the exit status."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from cloudseg_ops import __version__
from cloudseg_ops.contracts.engine_failure import PERMANENT_EXIT, failure_line, is_permanent
from cloudseg_ops.contracts.errors import CloudsegError, VersionMismatchError
from cloudseg_ops.contracts.versions import require_fit
from cloudseg_ops.engine.process.logs import set_up_logging
from cloudseg_ops.engine.process.options import expected_version, parse_options
from cloudseg_ops.engine.process.stopping import STOPPED, Stop, watch_stdin

OK = 0
FAILED = 1
MISMATCH = 3
INTERRUPTED = 130

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str], stop: Stop) -> int:
    """Run the engine.

    Args:
        arguments: The command line, without the program's name.
        stop: The request to stop.

    Returns:
        0: every image of the chunk is accounted for. 1: some are not, or the engine could not start; the last
        line of the log says why. 3: this engine is not compatible with the code that started it, and changed nothing.
        4: as 1, and every retry would end with the same error, such as weights that contain NaN.
        130: interrupted from the keyboard. 143: stopped on request.

    Raises:
        SystemExit: With status 2, if the command line is invalid.
    """
    # Before the options are parsed: another version may have unknown options, and the mismatch is the real error.
    if wanted := expected_version(arguments):
        try:
            require_fit(wanted, __version__)
        except VersionMismatchError as error:
            set_up_logging("json" if "json" in arguments else "text")
            _log.error("%s: %s", type(error).__name__, error)
            return MISMATCH
    options = parse_options(arguments)
    set_up_logging(options.log_format)
    _log.info("cloudseg %s", __version__)
    if options.tether:
        watch_stdin(stop)
    from cloudseg_ops.engine.chunk import run_chunk
    from cloudseg_ops.storage import Store

    def work() -> None:
        store = Store.open(connections=options.downloads + options.uploads + 3)
        run_chunk(options, store, stop)

    return exit_status(work, stop)


def exit_status(work: Callable[[], None], stop: Stop) -> int:
    """Do the engine's work, and log why it failed as the last line.

    Args:
        work: Segments the chunk.
        stop: The request to stop.

    Returns:
        The exit status: see `main`.
    """
    try:
        work()
    except KeyboardInterrupt:
        _log.error("interrupted from the keyboard")
        return INTERRUPTED
    except CloudsegError as error:
        if not stop.requested:
            if is_permanent(error):
                _log.error("%s", failure_line(error))
                return PERMANENT_EXIT
            _log.error("%s: %s", type(error).__name__, error)
            return FAILED
        _log.warning("stopped on request: %s", error)
    except Exception:  # noqa: BLE001  the last line of the log must say why, whatever it was
        _log.exception("the engine failed with an unexpected error; please report this together with the log")
        return FAILED
    return STOPPED if stop.requested else OK
