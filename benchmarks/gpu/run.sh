#!/usr/bin/env bash
# Measures everything of benchmarks/gpu on this machine, offline, within LIMIT_SECONDS (480), and leaves at most eight
# files in the folder OUT: benchmarks/gpu/run.sh OUT. With REHEARSE=1 it runs on the CPU, on tiny models.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 OUT" >&2; exit 2; }
mkdir -p "$1"
OUT=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
export PYTHON=${PYTHON:-python3} LIMIT_SECONDS=${LIMIT_SECONDS:-480} PYTHONUNBUFFERED=1

needed="import google.cloud.storage, google_crc32c, httptools, psutil, pydantic, starlette, uvicorn, uvloop, yaml"
if ! "$PYTHON" -W ignore -c "$needed" 2>/dev/null; then
    wheels=$PWD/.cloudseg/gpu-wheels
    if [ ! -d "$wheels" ]; then
        rm -rf "$wheels.part"
        mkdir -p "$wheels.part"
        for wheel in .gpu-wheels/*.whl; do
            # Wheels are zip files: unpacking them needs no pip.
            if [ -f "$wheel" ]; then "$PYTHON" -m zipfile -e "$wheel" "$wheels.part"; fi
        done
        mv "$wheels.part" "$wheels"
    fi
    export PYTHONPATH="$wheels${PYTHONPATH:+:$PYTHONPATH}"
    "$PYTHON" -W ignore -c "$needed" || echo "packages are missing: run benchmarks/gpu/wheels.sh where there is a network" >&2
fi

left=$((LIMIT_SECONDS - SECONDS))
arguments=(--seconds "$left")
if [ "${REHEARSE:-0}" = 1 ]; then
    export CLOUDSEG_REHEARSE=1
    arguments+=(--rehearse)
fi
exec timeout --kill-after=10 "$((left + 10))" "$PYTHON" -W ignore -m benchmarks.gpu "$OUT" "${arguments[@]}" "$@"
