#!/bin/sh
# Writes requirements/*.lock anew. The date is that of the Composer build: newer releases are left out, so that a
# laptop and Composer agree. CPU wheels of PyTorch come from PIP_FIND_LINKS when it is set.
set -eu
cd "$(dirname "$0")/.."
: "${PYTHON:=.cloudseg/venv/bin/python}"
for name in demo test; do
    UV_FIND_LINKS="${PIP_FIND_LINKS:-}" "$PYTHON" -m uv pip compile --quiet --python-version 3.11 \
        --exclude-newer 2026-08-26 --exclude-newer-package uv=false --no-emit-find-links \
        --custom-compile-command "make lock" "requirements/$name.in" --output-file "requirements/$name.lock"
    # A local version (+cpu) is one index's own; the plain one can be had everywhere.
    sed -i.bak 's/^\(torch==[0-9.]*\)+[a-z0-9]*/\1/' "requirements/$name.lock"
    rm "requirements/$name.lock.bak"
done
