#!/bin/sh
# model-venv.sh: creates .cloudseg/model-venv with requirements/models.lock: a newer PyTorch than the engine's, and the
# libraries whose networks docs/models.md exports. Does nothing if it is up to date.
#
# About 5.5 GB, so nothing creates it except this script; without it, the tests of the page's recipes are skipped.
# Uses uv from .cloudseg/venv. Wheels in PIP_FIND_LINKS, such as CPU builds of PyTorch, are preferred.
set -eu
cd "$(dirname "$0")/.."
state=${STATE:-.cloudseg}
venv=$state/model-venv
lock=requirements/models.lock
python=$state/venv/bin/python

[ -f "$venv/.installed" ] && cmp -s "$lock" "$venv/.installed" && exit 0

log=$state/model-install.log
printf '• installing %s into %s, once (several minutes; log: %s)\n' "$lock" "$venv" "$log"
{
    "$python" -m uv venv --quiet --clear --python "$python" "$venv" &&
        UV_FIND_LINKS=${PIP_FIND_LINKS:-} "$python" -m uv pip install --quiet --python "$venv/bin/python" \
            --requirement "$lock"
} >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    printf 'cloudseg: installing %s failed; the whole log is %s\n' "$lock" "$log" >&2
    exit 1
}
cp "$lock" "$venv/.installed"
