#!/bin/sh
# check-requirements.sh [BUILD…]: checks that requirements.txt resolves together with the packages preinstalled in a
# Composer build (requirements/composer/BUILD.txt; default: all builds). Changes nothing. Also fails if PyTorch would be
# installed on Composer's workers.
#
# Environment variables, both optional:
#   OUTPUT   folder to write each build's resolved versions to, as BUILD.lock
#   PYTHON   a Python with uv (.cloudseg/venv/bin/python)
set -eu
cd "$(dirname "$0")/.."
: "${PYTHON:=.cloudseg/venv/bin/python}" "${OUTPUT:=}"
# dvc and its dependencies may be newer than an old build: Composer installs what is available on the day of deployment.
today=$(sed -n 's/^# released: //p' requirements/composer/*.txt | sort | tail -n 1)

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

if [ $# -eq 0 ]; then
    for list in requirements/composer/*.txt; do set -- "$@" "$(basename "$list" .txt)"; done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for build in "$@"; do
    list=requirements/composer/$build.txt
    [ -f "$list" ] || fail "there is no $list, the list of packages preinstalled in $build"
    lock=${OUTPUT:-$work}/$build.lock
    # Write to a new file, because uv takes the versions in an existing output file as preferences.
    "$PYTHON" -m uv pip compile --quiet --no-header --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --exclude-newer "$today" requirements.txt "$list" --output-file "$work/$build.new" ||
        fail "requirements.txt does not resolve together with $build; see the conflict above"
    mv "$work/$build.new" "$lock"
    ! grep -E '^(torch|nvidia-[a-z0-9-]+)==' "$lock" >&2 ||
        fail "the packages above would be installed on the workers of $build"
    printf '%s: %s packages, including %s\n' "$build" "$(grep -c '==' "$lock")" "$(grep '^dvc==' "$lock")"
done
