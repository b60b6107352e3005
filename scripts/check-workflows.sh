#!/bin/sh
# check-workflows.sh: checks .github/workflows without a network: against GitHub's schema, with actionlint (what the
# expressions and shells in them mean) and with zizmor (what somebody could do with them). PYTHON names the Python whose
# environment has the three.
set -eu
cd "$(dirname "$0")/.."
bin=$(dirname "${PYTHON:-.cloudseg/venv/bin/python}")

"$bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$bin/actionlint" -shellcheck= -pyflakes=
"$bin/zizmor" --quiet --offline --persona=pedantic .github/workflows
