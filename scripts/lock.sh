#!/bin/sh
# lock.sh: regenerates requirements/*.lock. Releases newer than the Composer build are excluded, so that laptops and
# Composer have the same versions. If PIP_FIND_LINKS is set, PyTorch's CPU wheels come from there.
set -eu
cd "$(dirname "$0")/.."
: "${PYTHON:=.cloudseg/venv/bin/python}"

# compile NAME FOLDER_OF_WHEELS [OPTION…]
compile() {
    lock=$1 links=$2
    shift 2
    UV_FIND_LINKS=$links "$PYTHON" -m uv pip compile --quiet --python-version 3.11 \
        --exclude-newer 2026-08-26 --exclude-newer-package uv=false --no-emit-find-links \
        --custom-compile-command "make lock" "$@" "requirements/$lock.in" --output-file "requirements/$lock.lock"
}

wheels=${PIP_FIND_LINKS:-}
for name in demo test test-3.1.7 bench; do
    # Without --upgrade-package, the old lock's plain version would win over a CPU wheel and pull in CUDA's packages.
    compile "$name" "$wheels" --upgrade-package torch
    # A local version (+cpu) exists only in one index; the plain version exists in all.
    sed -i.bak 's/^\(torch==[0-9.]*\)+[a-z0-9]*/\1/' "requirements/$name.lock"
    rm "requirements/$name.lock.bak"
done

# The images are built for one platform, from exactly these files. PyTorch's index has no upload dates.
set -- --python-platform x86_64-manylinux_2_28 --generate-hashes
for name in engine-cpu compose; do
    if [ -n "$wheels" ]; then
        compile $name "$wheels" "$@"
    else
        compile $name "" "$@" --torch-backend cpu --exclude-newer-package torch=false
    fi
done
# A newer PyTorch than Composer's date, on purpose: it is what teams export with.
"$PYTHON" -m uv pip compile --quiet --python-version 3.11 --no-emit-find-links --custom-compile-command "make lock" \
    requirements/models.in --output-file requirements/models.lock
# Without the folder of wheels: a CPU wheel in it would win.
compile engine-cuda "" "$@"
compile engine-heif "" "$@" --no-deps
