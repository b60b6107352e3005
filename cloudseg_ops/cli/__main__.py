"""`python -m cloudseg_ops.cli`: the `cloudseg` command where it is not on the PATH."""

import sys

from cloudseg_ops.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
