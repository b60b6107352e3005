"""Entry point of `python -m cloudseg_delivery`."""

from __future__ import annotations

import sys

from cloudseg_delivery.cli import main

sys.exit(main(sys.argv[1:]))
