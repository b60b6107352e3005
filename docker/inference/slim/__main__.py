"""The command line that prunes a virtual environment with PyTorch: `python -m slim`.

The image build runs:

    PYTHONPATH=docker/inference python -m slim /opt/venv --variant cuda --keep "fft linalg"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .check import check_import, unresolved_libraries
from .prune import PruneError, prune, read_entries, selected


def main() -> None:
    """Prune the environment, print how much each entry saved, and check the rest."""
    parser = argparse.ArgumentParser(prog="python -m slim", description="Prune an installed PyTorch for inference.")
    parser.add_argument("environment", type=Path, help="the virtual environment")
    parser.add_argument("--variant", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--keep", default="", help="features to keep, separated by spaces or commas")
    options = parser.parse_args()
    (root,) = options.environment.glob("lib/python3*/site-packages")
    try:
        entries = selected(read_entries(), options.variant, options.keep.replace(",", " ").split())
        for pruned in prune(root, entries):
            print(f"{pruned.size / 1e6:8.1f} MB  {pruned.entry.paths[0]}", flush=True)
    except PruneError as error:
        sys.exit(f"cloudseg: {error}")
    missing = unresolved_libraries(root)
    if missing:
        sys.exit("cloudseg: these libraries are linked against others that were removed:\n" + "\n".join(missing))
    problem = check_import(options.environment / "bin" / "python", root)
    if problem:
        sys.exit(f"cloudseg: PyTorch does not work after pruning: {problem}")


if __name__ == "__main__":
    main()
