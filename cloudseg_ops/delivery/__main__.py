"""`python -m cloudseg_ops.delivery`: deploy, roll back, and what goes with it."""

from __future__ import annotations

import sys

from cloudseg_ops.delivery.cli import main

sys.exit(main(sys.argv[1:]))
