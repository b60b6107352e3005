#!/bin/sh
# check-requirements.sh [BUILD…]: proves that requirements.txt resolves together with what a Composer build has
# preinstalled (requirements/composer/BUILD.txt; all of them when none is named), among the releases of that build's day.
# Changes nothing. Also says when PyTorch would come to Composer's workers, where it has no business.
#
# By environment, both optional:
#   OUTPUT   folder that gets what each build resolves to, BUILD.lock
#   PYTHON   a Python that has uv (.cloudseg/venv/bin/python)
set -eu
cd "$(dirname "$0")/.."
: "${PYTHON:=.cloudseg/venv/bin/python}" "${OUTPUT:=}"
# dvc and what it needs may be younger than an older build: Composer installs what is there on the day of the deploy.
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
    [ -f "$list" ] || fail "there is no $list; it would name what $build has preinstalled"
    lock=${OUTPUT:-$work}/$build.lock
    # A file of its own, since uv reads an output that is there as preferences.
    "$PYTHON" -m uv pip compile --quiet --no-header --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --exclude-newer "$today" requirements.txt "$list" --output-file "$work/$build.new" ||
        fail "requirements.txt does not resolve together with $build: the lines above say which two disagree"
    mv "$work/$build.new" "$lock"
    ! grep -E '^(torch|nvidia-[a-z0-9-]+)==' "$lock" >&2 || fail "the lines above would come to the workers of $build"
    printf '%s: %s packages, dvc among them: %s\n' "$build" "$(grep -c '==' "$lock")" "$(grep '^dvc==' "$lock")"
done
