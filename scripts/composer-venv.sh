#!/bin/sh
# composer-venv.sh BUILD: creates a virtual environment with exactly the package versions of a Composer build
# (requirements/composer/BUILD.txt, requirements.txt, and their dependencies), and prints the path of its Python. It
# does not contain cloudseg, which Composer loads from a bucket. Takes a minute or two; does nothing if it is up to
# date.
set -eu
cd "$(dirname "$0")/.."
build=$1
state=${STATE:-.cloudseg}
: "${PYTHON:=$state/venv/bin/python}"
venv=$state/$build
lock=$state/$build.lock

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

"$PYTHON" -c 'import uv' 2>/dev/null || fail "$PYTHON has no uv; \`make lint\` creates an environment that has it"
python=$("$PYTHON" -c 'import sys; print(sys.executable)')
OUTPUT=$state PYTHON=$python scripts/check-requirements.sh "$build" >&2
if ! cmp -s "$lock" "$venv/.installed"; then
    log=$state/$build.log
    printf '• installing %s into %s, once (a minute or two; log: %s)\n' "$lock" "$venv" "$log" >&2
    {
        "$python" -m uv venv --quiet --clear --python "$python" "$venv" &&
            "$python" -m uv pip install --quiet --python "$venv/bin/python" --requirement "$lock"
    } >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        fail "installing $lock failed; the full log is $log"
    }
    cp "$lock" "$venv/.installed"
fi
printf '%s\n' "$venv/bin/python"
