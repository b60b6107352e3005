"""`python -m cloudseg_delivery`: deploy, roll back, and show the status."""

from __future__ import annotations

import sys

from cloudseg_delivery.cli import main

sys.exit(main(sys.argv[1:]))
