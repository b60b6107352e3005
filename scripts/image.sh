#!/bin/sh
# image.sh: builds the inference engine's image with Docker, and prints its name on the last line.
#
# Environment variables, all optional:
#   VARIANT      cpu (default) or cuda
#   IMAGE        name without tag (cloudseg-inference)
#   TAG          tag (version and commit; `-dirty` if the work tree is, `-cuda` for that variant)
#   KEEP         PyTorch features to keep for networks that need them: "fft linalg" (docker/inference/slim/removed.toml)
#   HEIF         1: read HEIC too, with libheif and libde265 (LGPL); see docs/photographs.md
#   BASE         base image; in production, with its digest (the one in docker/inference/Dockerfile)
#   PLATFORM     value of `docker build --platform`; the locks are for linux/amd64
#   NETWORK      value of `docker build --network`; `host` behind some proxies
#   WHEELS       folder of wheels that pip uses before it queries an index
#   CA_BUNDLE    file of certificates (PEM) with which pip verifies the index
#   PIP_INDEX_URL, TORCH_INDEX   mirrors of PyPI and of PyTorch's index of CPU builds
#   SOURCE       URL of the source, for the image's label
# HTTP_PROXY, HTTPS_PROXY and NO_PROXY are passed to the build. Without TAG, the image is also tagged `dev`.
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
*) fail "VARIANT=$VARIANT: must be cpu or cuda" ;;
esac
[ -z "${WHEELS:-}" ] || ls "$WHEELS"/*.whl >/dev/null 2>&1 || fail "WHEELS=$WHEELS: no wheels in this folder"
[ -z "${CA_BUNDLE:-}" ] || [ -s "$CA_BUNDLE" ] || fail "CA_BUNDLE=$CA_BUNDLE: the file does not exist or is empty"
command -v docker >/dev/null 2>&1 || fail "there is no docker client on the PATH; install Docker"
answer=$(docker version 2>&1) ||
    fail "the Docker daemon does not answer; start it, or set DOCKER_HOST ($(printf '%s' "$answer" | tail -n 1))"

base=${BASE:-$(sed -n 's/^ARG BASE=//p' $dockerfile)}
docker image inspect "$base" >/dev/null 2>&1 ||
    docker pull ${PLATFORM:+--platform "$PLATFORM"} "$base" >&2 ||
    fail "cannot pull the base image $base; without access to a registry, build a stand-in: scripts/stand-in-base.sh"

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cloudseg_ops/__init__.py)
if revision=$(git rev-parse HEAD 2>/dev/null); then
    commit=$(git rev-parse --short HEAD)
    [ -z "$(git status --porcelain)" ] || revision=$revision-dirty commit=$commit-dirty
else
    revision=unknown commit=unknown
fi
name=$IMAGE:${TAG:-$version-$commit$suffix}

# Build from a copy, so that wheels and certificates are not added to the work tree.
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
for variable in KEEP HEIF PIP_INDEX_URL TORCH_INDEX HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    eval "value=\${$variable:-}"
    [ -z "$value" ] || set -- "$@" --build-arg "$variable=$value"
done
docker build "$@" ${PLATFORM:+--platform "$PLATFORM"} ${NETWORK:+--network "$NETWORK"} \
    ${SOURCE:+--label "org.opencontainers.image.source=$SOURCE"} "$context" >&2 ||
    fail "the build failed; see the failed step above. Behind a proxy, see docker/inference/inputs/README.md"
printf '%s\n' "$name"
