"""Runs one part in its own process: `python -m benchmarks.gpu.part NAME --out OUT --work WORK --deadline T`."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.gpu.context import add_arguments, context_from


def main(arguments: list[str]) -> None:
    """Run a part's `main`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    importlib.import_module(f"benchmarks.gpu.{options.name}").main(context_from(options))


if __name__ == "__main__":
    main(sys.argv[1:])
