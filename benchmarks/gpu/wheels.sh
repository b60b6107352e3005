#!/usr/bin/env bash
# Fetches into .gpu-wheels/ what a GPU machine without a network lacks: PyTorch's image has torch, numpy and Pillow, but
# not the clients and servers below. Versions are those of requirements/demo.lock. Then run.sh works offline.
set -euo pipefail
cd "$(dirname "$0")/../.."

FOLDER=.gpu-wheels
MAX_KIB=$((50 * 1024))
PYTHON=${PYTHON:-$([ -x .cloudseg/venv/bin/python ] && echo .cloudseg/venv/bin/python || echo python3)}
# Without dependencies, so each is named.
PACKAGES=(
    google-cloud-storage google-cloud-core google-api-core google-auth google-crc32c google-resumable-media
    googleapis-common-protos proto-plus protobuf pyasn1 pyasn1-modules cryptography cffi pycparser
    pydantic pydantic-core annotated-types typing-inspection typing-extensions
    starlette python-multipart uvicorn httptools uvloop click h11
    requests urllib3 certifi charset-normalizer idna pyyaml psutil
)

PINNED=()
for package in "${PACKAGES[@]}"; do
    pin=$(grep -m1 -oE "^$package==[^ ;]+" requirements/demo.lock) || {
        echo "requirements/demo.lock pins no $package: update the list in $0" >&2
        exit 1
    }
    PINNED+=("$pin")
done

rm -rf "$FOLDER"
mkdir "$FOLDER"
"$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --platform any \
    -d "$FOLDER" "${PINNED[@]}"

kib=$(du -sk "$FOLDER" | cut -f1)
if [ "$kib" -gt "$MAX_KIB" ]; then
    echo "$FOLDER takes $kib KiB, more than the $MAX_KIB KiB allowed: shorten the list in $0" >&2
    exit 1
fi
echo "$FOLDER: $(find "$FOLDER" -name '*.whl' | wc -l) wheels, $kib KiB"
