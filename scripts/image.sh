#!/bin/sh
# image.sh: builds the image of the inference engine with Docker; prints its name on the last line.
#
# By environment, all optional:
#   VARIANT      cpu (default) or cuda
#   IMAGE        name without tag (cloudseg-inference)
#   TAG          tag (version and commit; `-dirty` when the work tree is, `-cuda` for that variant)
#   KEEP         features of PyTorch for networks that need them: "fft linalg" (docker/inference/slim/removed.toml)
#   BASE         base image; for production with its digest (the one in docker/inference/Dockerfile)
#   PLATFORM     as `docker build --platform` takes it; the locks are for linux/amd64
#   NETWORK      as `docker build --network` takes it, `host` behind some proxies
#   WHEELS       folder of wheels that pip takes before it asks an index
#   CA_BUNDLE    file of certificates (PEM) by which pip trusts the index
#   PIP_INDEX_URL, TORCH_INDEX   mirrors of PyPI and of PyTorch's index of CPU builds
#   SOURCE       address of the source, for its label
# HTTP_PROXY, HTTPS_PROXY and NO_PROXY are handed to the build. Without TAG the image is tagged `dev` as well.
set -eu
cd "$(dirname "$0")/.."
: "${VARIANT:=cpu}" "${IMAGE:=cloudseg-inference}"
dockerfile=docker/inference/Dockerfile

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

case $VARIANT in
cpu) suffix= ;;
cuda) suffix=-cuda ;;
*) fail "VARIANT=$VARIANT: there are cpu and cuda" ;;
esac
[ -z "${WHEELS:-}" ] || ls "$WHEELS"/*.whl >/dev/null 2>&1 || fail "WHEELS=$WHEELS: no wheel lies there"
[ -z "${CA_BUNDLE:-}" ] || [ -s "$CA_BUNDLE" ] || fail "CA_BUNDLE=$CA_BUNDLE: there is no such file, or it is empty"
command -v docker >/dev/null 2>&1 || fail "there is no docker client on the PATH; install Docker"
answer=$(docker version 2>&1) ||
    fail "no Docker daemon answers; start it, or name it in DOCKER_HOST ($(printf '%s' "$answer" | tail -n 1))"

base=${BASE:-$(sed -n 's/^ARG BASE=//p' $dockerfile)}
docker image inspect "$base" >/dev/null 2>&1 ||
    docker pull ${PLATFORM:+--platform "$PLATFORM"} "$base" >&2 ||
    fail "the base image $base cannot be had; where no registry is reached, make a stand-in: scripts/stand-in-base.sh"

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cloudseg_ops/__init__.py)
if revision=$(git rev-parse HEAD 2>/dev/null); then
    commit=$(git rev-parse --short HEAD)
    [ -z "$(git status --porcelain)" ] || revision=$revision-dirty commit=$commit-dirty
else
    revision=unknown commit=unknown
fi
name=$IMAGE:${TAG:-$version-$commit$suffix}

# The build sees a copy, so that what it brings along does not touch the work tree.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
trap 'exit 1' HUP INT TERM
cp .dockerignore LICENSE "$context"
cp -R cloudseg_ops requirements docker "$context"
inputs=$context/docker/inference/inputs
if [ -n "${WHEELS:-}" ]; then mkdir -p "$inputs/wheels" && cp "$WHEELS"/*.whl "$inputs/wheels"; fi
if [ -n "${CA_BUNDLE:-}" ]; then cp "$CA_BUNDLE" "$inputs/ca.crt"; fi

set -- --file "$context/docker/inference/Dockerfile" --tag "$name" \
    --build-arg "BASE=$base" --build-arg "VARIANT=$VARIANT" \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
[ -n "${TAG:-}" ] || set -- "$@" --tag "$IMAGE:dev$suffix"
for variable in KEEP PIP_INDEX_URL TORCH_INDEX HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    eval "value=\${$variable:-}"
    [ -z "$value" ] || set -- "$@" --build-arg "$variable=$value"
done
docker build "$@" ${PLATFORM:+--platform "$PLATFORM"} ${NETWORK:+--network "$NETWORK"} \
    ${SOURCE:+--label "org.opencontainers.image.source=$SOURCE"} "$context" >&2 ||
    fail "the build failed; the lines above say at which step. Behind a proxy, see docker/inference/inputs/README.md"
printf '%s\n' "$name"
