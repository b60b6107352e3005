#!/bin/sh
# stand-in-base.sh [IMAGE]: makes a stand-in of the inference image's base, under the base's own tag.
#
# For machines that reach Debian's packages but no container registry: Debian 12 with its own Python 3.11, made with
# debootstrap and imported into Docker. Good for building and trying the image, not for production: its Python has
# another patch level than the official base, and it is as old as the day it was made. One to two minutes; needs root,
# debootstrap and a Docker daemon. MIRROR=http://… names another mirror of Debian's packages than debootstrap's own.
set -eu
cd "$(dirname "$0")/.."
image=${1:-$(sed -n 's/^ARG BASE=//p' docker/inference/Dockerfile)}

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

[ "$(uname -s)" = Linux ] || fail "a stand-in base can only be made on Linux"
[ "$(id -u)" = 0 ] || fail "debootstrap needs root; run it again with sudo: sudo scripts/stand-in-base.sh"
command -v debootstrap >/dev/null 2>&1 ||
    fail "debootstrap is needed, and is not on the PATH; install it: apt-get install debootstrap"
command -v docker >/dev/null 2>&1 || fail "there is no docker client on the PATH; install Docker"
docker version >/dev/null 2>&1 ||
    fail "no Docker daemon answers; start it, or name it in DOCKER_HOST ($(docker version 2>&1 | tail -n 1))"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

printf '• making a STAND-IN of %s with debootstrap (a minute or two)\n' "$image" >&2
# python3.11-venv needs a virtual package, which debootstrap does not resolve: python3-distutils provides it.
debootstrap --variant=minbase --include=ca-certificates,python3.11,python3.11-venv,python3-distutils \
    bookworm "$root" ${MIRROR:+"$MIRROR"} >"$work/log" 2>&1 || {
    tail -n 10 "$work/log" >&2
    fail "debootstrap failed; the lines above say why. Another mirror is named so: MIRROR=http://… $0"
}
# The official base has `python` too, and none of this.
ln -s /usr/bin/python3.11 "$root/usr/local/bin/python"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/* "$root"/var/log/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/debootstrap

tar -C "$root" --numeric-owner --one-file-system -c . | docker import \
    --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV LANG=C.UTF-8' \
    --change 'CMD ["python"]' \
    --change 'LABEL cloudseg.base=stand-in' \
    --message "a stand-in made with debootstrap, not the official image" \
    - "$image" >/dev/null || fail "Docker did not take the stand-in as $image"

printf '• %s is now a STAND-IN: Debian 12 with %s, not the official image. Not for production;\n' \
    "$image" "$(chroot "$root" /usr/bin/python3.11 --version)" >&2
printf '  docker rmi %s, and Docker takes the official one again\n' "$image" >&2
printf '%s\n' "$image"
