"""Starts a contender by its module's name: `python -m benchmarks.contender article JOB.json`.

The module is not run as a program itself, because frameworks pickle references to it by import path.
"""

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(*sys.argv[2:])
