#!/bin/sh
# docs-venv.sh: makes .cloudseg/docs-venv with requirements/docs.lock (MkDocs), beside .cloudseg/venv, which it does not
# need. Does nothing when that has been done.
#
# By environment, optional:
#   PYTHON  Python 3.11 or newer (that of .cloudseg/venv, else python3.11, else python3)
set -eu
cd "$(dirname "$0")/.."
state=${STATE:-.cloudseg}
venv=$state/docs-venv
lock=requirements/docs.lock

[ -f "$venv/.installed" ] && cmp -s "$lock" "$venv/.installed" && exit 0

# shellcheck disable=SC2086  (words of their own)
for python in ${PYTHON:-"$state/venv/bin/python" python3.11 python3}; do
    command -v "$python" >/dev/null 2>&1 && break
done
"$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    printf 'cloudseg: %s is not Python 3.11 or newer with its venv module; name one: PYTHON=/path/to/python3.11\n' \
        "$python" >&2
    exit 1
}

mkdir -p "$state"
log=$state/docs-install.log
printf '• installing %s into %s, once (log: %s)\n' "$lock" "$venv" "$log"
{
    "$python" -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"
} >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    printf 'cloudseg: installing %s failed; the whole log is %s\n' "$lock" "$log" >&2
    exit 1
}
cp "$lock" "$venv/.installed"
