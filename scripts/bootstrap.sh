#!/bin/sh
# bootstrap.sh NAME: creates the virtual environment .cloudseg/venv and installs requirements/NAME.lock into it.
# Does nothing if it is up to date. Needs Python 3.11 and 4 GB of free disk space, and checks for both.
set -eu
cd "$(dirname "$0")/.."
name=$1
state=${STATE:-.cloudseg}
venv=$state/venv
lock=requirements/$name.lock

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

stamp=$state/venv/.installed-$name
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cloudseg_ops/__init__.py)
if [ -f "$stamp" ] && cmp -s "$lock" "$stamp" &&
    ls -d "$venv"/lib/python*/site-packages/cloudseg-"$version".dist-info >/dev/null 2>&1; then
    exit 0
fi

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.11 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || fail "Python 3.11 is needed (the version on Cloud Composer), and none is on the PATH; install
  python3.11 with its venv module, or name it: make demo PYTHON=/path/to/python3.11"
command -v "$python" >/dev/null 2>&1 || fail "PYTHON=$python: there is no such program"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    fail "$python is $("$python" --version 2>&1), and cloudseg needs Python 3.11"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python has no venv module; install it (on Debian: apt-get install python3.11-venv)"
command -v git >/dev/null 2>&1 || fail "git is needed, and is not on the PATH"

[ ! -L "$venv" ] || fail "$venv is a symbolic link, whose target would be cleared; remove the link"
mkdir -p "$state" || fail "cannot write to $state"
free=$(df -Pk "$state" | awk 'NR == 2 { print $4 }')
[ "$free" -ge 4000000 ] || fail "the disk of $state has $((free / 1024)) MiB free; Airflow and PyTorch need 4000"

# Installing another version of Airflow invalidates these installations: remove their stamps.
for other in "$venv"/.installed-*; do
    [ ! -f "$other" ] || [ "$(grep '^apache-airflow==' "$other")" = "$(grep '^apache-airflow==' "$lock")" ] || rm "$other"
done

log=$state/install.log
printf '• installing %s into %s, once (a minute or two; log: %s)\n' "$lock" "$venv" "$log"
{
    # A venv without stamps is incomplete: create it again.
    [ -x "$venv/bin/python" ] && ls "$venv"/.installed-* >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
    # With PYTHONDONTWRITEBYTECODE, every process would compile Airflow and PyTorch again, so compile them now.
    [ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || compile=--compile-bytecode
    uv=$(grep '^uv==' requirements/test.lock)
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$uv"
    UV_FIND_LINKS=${PIP_FIND_LINKS:-} "$venv/bin/python" -m uv pip install --quiet ${compile:-} \
        --python "$venv/bin/python" --requirement "$lock"
    "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" \
        --no-deps --no-build-isolation --editable .
} >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "installing $lock failed; the full log is $log. Fix the cause and run the command again"
}
cp "$lock" "$stamp"
