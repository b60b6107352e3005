#!/bin/sh
# stand-in-base.sh [KIND [IMAGE]]: builds a stand-in for a base image, under that image's own tag.
#
#   engine     the base of docker/inference/Dockerfile (the default)
#   airflow    the base of docker/airflow/Dockerfile
#   postgres   the Postgres image in docker-compose.yaml
#   k3s        the k3s image there: Debian's containerd and etcd, and Kubernetes programs from the folder KUBERNETES
#              (kube-apiserver, kube-controller-manager, kube-scheduler, kubelet; 1.20 to 1.26, which still have the
#              kubelet option that Debian's containerd needs)
#
# For machines that can reach Debian's packages but no container registry: Debian 12 with its Python 3.11, its
# PostgreSQL 15, or Kubernetes, built with debootstrap and imported into Docker. For builds and tests, not for
# production: its programs have different patch levels than the official image, it receives no updates, and it contains
# only the parts of the official image that are used here. Takes one to two minutes; needs root, debootstrap and a
# Docker daemon. MIRROR=http://… selects another mirror of Debian's packages.
set -eu
cd "$(dirname "$0")/.."
kind=${1:-engine}

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

# python3.11-venv needs a virtual package, which debootstrap does not resolve: python3-distutils provides it.
python=ca-certificates,python3.11,python3.11-venv,python3-distutils
case $kind in
engine)
    default=$(sed -n 's/^ARG BASE=//p' docker/inference/Dockerfile)
    packages=$python
    ;;
airflow)
    default=$(sed -n 's/^ARG BASE=//p' docker/airflow/Dockerfile)
    packages=$python,git
    ;;
postgres)
    default=$(sed -n 's/^ *image: \(postgres:.*\)/\1/p' docker-compose.yaml)
    packages=postgresql-15
    ;;
k3s)
    default=$(sed -n 's/^ *image: \(rancher.*\)/\1/p' docker-compose.yaml)
    packages=containerd,runc,containernetworking-plugins,iptables,etcd-server,kubernetes-client,openssl,busybox-static
    programs="kube-apiserver kube-controller-manager kube-scheduler kubelet"
    for program in $programs; do
        [ -x "${KUBERNETES:-}/$program" ] || fail "KUBERNETES=${KUBERNETES:-}: this folder has no program $program"
    done
    ;;
*) fail "$kind: must be engine, airflow, postgres or k3s" ;;
esac
image=${2:-$default}

[ "$(uname -s)" = Linux ] || fail "a stand-in base can only be built on Linux"
[ "$(id -u)" = 0 ] || fail "debootstrap needs root; run it again with sudo: sudo scripts/stand-in-base.sh $kind"
command -v debootstrap >/dev/null 2>&1 ||
    fail "debootstrap is needed, and is not on the PATH; install it: apt-get install debootstrap"
command -v docker >/dev/null 2>&1 || fail "there is no docker client on the PATH; install Docker"
docker version >/dev/null 2>&1 ||
    fail "the Docker daemon does not answer; start it, or set DOCKER_HOST ($(docker version 2>&1 | tail -n 1))"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

printf '• building a STAND-IN for %s with debootstrap (a minute or two)\n' "$image" >&2
debootstrap --variant=minbase --include="$packages" bookworm "$root" ${MIRROR:+"$MIRROR"} >"$work/log" 2>&1 || {
    tail -n 10 "$work/log" >&2
    fail "debootstrap failed; see its output above. To use another mirror: MIRROR=http://… $0 $kind"
}
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/* "$root"/var/log/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/debootstrap

bin=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
case $kind in
engine)
    # The official base has `python` too.
    ln -s /usr/bin/python3.11 "$root/usr/local/bin/python"
    set -- --change "ENV PATH=$bin" --change 'CMD ["python"]'
    ;;
airflow)
    ln -s /usr/bin/python3.11 "$root/usr/local/bin/python"
    chroot "$root" /usr/sbin/useradd --uid 50000 --gid 0 --create-home airflow
    mkdir -p "$root/opt/airflow/logs"
    chown -R 50000:0 "$root/opt/airflow"
    set -- --change "ENV PATH=$bin" --change 'ENV AIRFLOW_HOME=/opt/airflow' --change 'USER 50000' \
        --change 'CMD ["python"]'
    ;;
postgres)
    chroot "$root" /usr/bin/install -d -o postgres -g postgres -m 3777 /var/run/postgresql
    # Debian creates a database cluster when it installs the package; the container creates its own.
    rm -rf "$root"/var/lib/postgresql/*
    chroot "$root" /usr/bin/install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
    cp scripts/stand-in-postgres.sh "$root/usr/local/bin/stand-in-postgres"
    set -- --change "ENV PATH=/usr/lib/postgresql/15/bin:$bin" --change 'ENV PGDATA=/var/lib/postgresql/data' \
        --change 'USER postgres' --change 'ENTRYPOINT ["stand-in-postgres"]'
    ;;
k3s)
    for program in $programs; do cp "$KUBERNETES/$program" "$root/usr/bin/$program"; done
    cp scripts/stand-in-k3s.sh "$root/usr/local/bin/k3s"
    for program in kubectl ctr; do ln -s k3s "$root/usr/local/bin/$program"; done
    # The pause container, which holds a pod's network namespace.
    mkdir -p "$work/pause" "$root/usr/share/stand-in"
    cp "$root/bin/busybox" "$work/pause/sleep"
    tar -C "$work/pause" -c . | docker import --change 'ENTRYPOINT ["/sleep", "2147483647"]' - stand-in/pause:1 >/dev/null
    docker save stand-in/pause:1 >"$root/usr/share/stand-in/pause.tar"
    docker rmi stand-in/pause:1 >/dev/null
    set -- --change "ENV PATH=$bin" --change 'ENTRYPOINT ["k3s"]' --change 'CMD ["agent"]'
    ;;
esac

tar -C "$root" --numeric-owner --one-file-system -c . | docker import "$@" \
    --change 'ENV LANG=C.UTF-8' \
    --change 'LABEL cloudseg.base=stand-in' \
    --message "a stand-in made with debootstrap, not the official image" \
    - "$image" >/dev/null || fail "Docker could not import the stand-in as $image"

case $kind in
postgres) what=$(chroot "$root" /usr/lib/postgresql/15/bin/postgres --version) ;;
k3s) what=$("$KUBERNETES/kubelet" --version) ;;
*) what=$(chroot "$root" /usr/bin/python3.11 --version) ;;
esac
printf '• %s is now a STAND-IN: Debian 12 with %s, not the official image. Not for production;\n' "$image" "$what" >&2
printf '  to return to the official image: docker rmi %s\n' "$image" >&2
printf '%s\n' "$image"
