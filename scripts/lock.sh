#!/bin/sh
# Writes requirements/*.lock anew. The date is that of the Composer build: newer releases are left out, so that a
# laptop and Composer agree. CPU wheels of PyTorch come from PIP_FIND_LINKS when it is set.
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
    # Upgraded, or the old lock's plain version wins over a CPU wheel, and CUDA's packages come with it.
    compile "$name" "$wheels" --upgrade-package torch
    # A local version (+cpu) is one index's own; the plain one can be had everywhere.
    sed -i.bak 's/^\(torch==[0-9.]*\)+[a-z0-9]*/\1/' "requirements/$name.lock"
    rm "requirements/$name.lock.bak"
done

# After test.lock, whose versions it takes. With hashes: it is installed by pip alone, without the rest.
compile docs "" --generate-hashes

# The images are built on one platform, of exactly these files. PyTorch's index gives its wheels no dates.
set -- --python-platform x86_64-manylinux_2_28 --generate-hashes
for name in engine-cpu compose; do
    if [ -n "$wheels" ]; then
        compile $name "$wheels" "$@"
    else
        compile $name "" "$@" --torch-backend cpu --exclude-newer-package torch=false
    fi
done
# Without the folder, for a CPU wheel in it would win.
compile engine-cuda "" "$@"
