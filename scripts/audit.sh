#!/bin/sh
# audit.sh [FILE…]: checks the packages pinned in requirements files (default: requirements/*.lock) for known
# vulnerabilities. It queries PyPI, so it is not part of `make lint`. Findings that do not affect cloudseg are ignored
# by id, with the reason, in requirements/audit-ignored.txt. Also fails if a package could not be looked up.
set -eu
cd "$(dirname "$0")/.."
: "${PYTHON:=.cloudseg/venv/bin/python}"
[ $# -gt 0 ] || set -- requirements/*.lock

ignored=
for id in $(sed 's/#.*//' requirements/audit-ignored.txt); do ignored="$ignored --ignore-vuln $id"; done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
status=0
for file; do
    printf '• %s\n' "$file"
    # A local version (+cpu) is unknown to PyPI, and hashes are checked where the lock is installed.
    sed -n 's/^\([a-z0-9][a-z0-9._-]*==[^ ;+\\]*\).*/\1/p' "$file" >"$work/audited.txt"
    # shellcheck disable=SC2086  (split into words on purpose)
    "$PYTHON" -m uv tool run --quiet --exclude-newer 2026-08-26 --from pip-audit==2.10.1 \
        pip-audit --strict --no-deps --disable-pip --progress-spinner off \
        --requirement "$work/audited.txt" $ignored || status=1
done
exit $status
