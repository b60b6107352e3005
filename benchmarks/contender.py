"""Starts a contender by its module's name: `python -m benchmarks.contender article JOB.json`.

Not the module itself as a program: what frameworks send to their workers must be found there by its import path.
"""

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(*sys.argv[2:])
