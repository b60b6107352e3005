#!/bin/sh
# bench-venv.sh: creates .cloudseg/bench-venv with requirements/bench.lock (Beam and Ray), using uv from .cloudseg/venv.
# Does nothing if it is up to date. A failure only prints a message: the benchmark then runs without them.
set -eu
cd "$(dirname "$0")/.."
state=${STATE:-.cloudseg}
venv=$state/bench-venv
lock=requirements/bench.lock
python=$state/venv/bin/python

[ -f "$venv/.installed" ] && cmp -s "$lock" "$venv/.installed" && exit 0

log=$state/bench-install.log
printf '• installing %s into %s, once (a minute or two; log: %s)\n' "$lock" "$venv" "$log"
{
    "$python" -m uv venv --quiet --clear --python "$python" "$venv" &&
        UV_FIND_LINKS=${PIP_FIND_LINKS:-} "$python" -m uv pip install --quiet --compile-bytecode \
            --python "$venv/bin/python" --requirement "$lock"
} >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    printf 'cloudseg: installing %s failed; the benchmark continues without Beam and Ray\n' "$lock" >&2
    exit 0
}
cp "$lock" "$venv/.installed"
