"""Run the emulator in the foreground: ``python -m gcs_emulator --port 4443``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .errors import EmulatorStartError
from .server import Emulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return 2 if the emulator cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m gcs_emulator",
        description="A Cloud Storage emulator: set STORAGE_EMULATOR_HOST to the address it prints.",
    )
    parser.add_argument("--port", type=int, default=4443, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--directory", type=Path, help="folder for the state (default: in memory)")
    parser.add_argument("--latency", type=float, default=0.0, help="delay of every request in seconds (default: 0)")
    options = parser.parse_args(arguments)
    try:
        emulator = Emulator(options.directory, host=options.host, port=options.port, latency=options.latency)
    except EmulatorStartError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    emulator.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
