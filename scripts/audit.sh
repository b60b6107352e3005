#!/bin/sh
# audit.sh: looks for known vulnerabilities in what requirements/*.lock pin. Asks PyPI, so it is no part of `make lint`.
# A finding that does not concern cloudseg is left out by its id, with the reason, in requirements/audit-ignored.txt.
set -eu
cd "$(dirname "$0")/.."
: "${PYTHON:=.cloudseg/venv/bin/python}"

set --
for id in $(sed 's/#.*//' requirements/audit-ignored.txt); do set -- "$@" --ignore-vuln "$id"; done
status=0
for lock in requirements/*.lock; do
    printf '• %s\n' "$lock"
    # A local version (+cpu) is unknown to PyPI, and hashes are checked where the lock is installed.
    sed -n 's/^\([a-z0-9][a-z0-9._-]*==[^ ;+\\]*\).*/\1/p' "$lock" >"${TMPDIR:-/tmp}/audited.txt"
    "$PYTHON" -m uv tool run --quiet --exclude-newer 2026-08-26 --from pip-audit==2.10.1 \
        pip-audit --no-deps --disable-pip --progress-spinner off --requirement "${TMPDIR:-/tmp}/audited.txt" "$@" || status=1
done
exit $status
