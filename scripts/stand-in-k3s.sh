#!/bin/sh
# The programs k3s, kubectl and ctr of the k3s stand-in, which scripts/stand-in-base.sh builds. It supports the parts of
# the official image that docker-compose.yaml uses: the options below, K3S_KUBECONFIG_OUTPUT and K3S_KUBECONFIG_MODE,
# all state in /var/lib/rancher/k3s, a kubeconfig with embedded certificates and a loopback address, `ctr images
# import`, and pods that reach the outside through the container's network.
#
# It is a complete Kubernetes cluster of one node: etcd, API server, controllers, scheduler, kubelet, containerd.
set -eu
data=/var/lib/rancher/k3s
socket=/run/k3s/containerd/containerd.sock
kubeconfig=/etc/rancher/k3s/k3s.yaml

case ${0##*/} in
kubectl) exec /usr/bin/kubectl --kubeconfig="$kubeconfig" "$@" ;;
ctr) exec /usr/bin/ctr --address "$socket" --namespace k8s.io "$@" ;;
esac

fail() {
    printf 'k3s stand-in: %s\n' "$1" >&2
    exit 1
}

[ "${1:-}" = server ] || fail "only \`server\` is supported"
shift
address=$(hostname -i)
names=IP:127.0.0.1,IP:10.43.0.1,IP:$address,DNS:localhost,DNS:$(hostname)
for option; do
    case $option in
    --tls-san=*) names=$names,DNS:${option#*=} ;;
    # The stand-in lacks these components anyway, and a single node needs no routes between nodes.
    --disable=* | --disable-helm-controller | --disable-network-policy | --flannel-backend=host-gw) ;;
    *) fail "unsupported option $option" ;;
    esac
done

mkdir -p "$data/tls" "$data/kubelet" /run/k3s /etc/rancher/k3s /etc/cni/net.d
cd "$data/tls"

# certificate NAME SUBJECT EXTENSIONS
certificate() {
    openssl req -new -newkey rsa:2048 -nodes -keyout "$1.key" -subj "$2" 2>/dev/null |
        openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile "$3" -out "$1.crt" 2>/dev/null
}
[ -s ca.crt ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=stand-in -keyout ca.key -out ca.crt 2>/dev/null
[ -s sa.key ] || openssl genrsa -out sa.key 2048 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$names" >server.ext
printf 'extendedKeyUsage=clientAuth\n' >client.ext
certificate server /CN=kube-apiserver server.ext
certificate admin /O=system:masters/CN=admin client.ext

cat >"$kubeconfig" <<K
apiVersion: v1
kind: Config
clusters:
- {name: default, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}
users:
- {name: default, user: {client-certificate-data: $(base64 -w0 admin.crt), client-key-data: $(base64 -w0 admin.key)}}
contexts:
- {name: default, context: {cluster: default, user: default}}
current-context: default
K
chmod 600 "$kubeconfig"
cat >/etc/cni/net.d/10-pods.conflist <<C
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.42.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
C
cat >/run/k3s/containerd.toml <<C
version = 2
root = "$data/agent/containerd"
state = "/run/k3s/containerd"
[grpc]
address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/stand-in/pause:1"
# Some machines do not allow lowering it.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"
C
cat >/run/k3s/kubelet.yaml <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failSwapOn: false
cgroupDriver: cgroupfs
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $data/tls/ca.crt}}
authorization: {mode: AlwaysAllow}
evictionHard: {nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
C

started=
start() {
    name=$1
    shift
    "$@" >"/run/k3s/$name.log" 2>&1 &
    started="$started $!:$name"
}
stop() {
    for each in $started; do kill "${each%%:*}" 2>/dev/null || true; done
}
trap 'stop; exit 0' TERM INT

# Propagate mounts, so that containerd sees the mounts of pods.
mount --make-rshared /
start etcd etcd --data-dir "$data/server" --log-level warn
start containerd containerd --config /run/k3s/containerd.toml
start apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address="$address" \
    --allow-privileged=true --authorization-mode=Node,RBAC --service-cluster-ip-range=10.43.0.0/16 \
    --client-ca-file=ca.crt --tls-cert-file=server.crt --tls-private-key-file=server.key \
    --kubelet-client-certificate=admin.crt --kubelet-client-key=admin.key --kubelet-preferred-address-types=InternalIP \
    --service-account-key-file=sa.key --service-account-signing-key-file=sa.key \
    --service-account-issuer=https://kubernetes.default.svc
# Wait until the API server is ready.
until kubectl --kubeconfig="$kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep 1; done
ctr images import /usr/share/stand-in/pause.tar >/dev/null
start controllers kube-controller-manager --kubeconfig="$kubeconfig" --service-account-private-key-file=sa.key \
    --root-ca-file=ca.crt --leader-elect=false
start scheduler kube-scheduler --kubeconfig="$kubeconfig" --leader-elect=false
start kubelet kubelet --config=/run/k3s/kubelet.yaml --kubeconfig="$kubeconfig" --node-ip="$address" \
    --root-dir="$data/kubelet" --container-runtime=remote --container-runtime-endpoint="unix://$socket"

if [ -n "${K3S_KUBECONFIG_OUTPUT:-}" ]; then
    cp "$kubeconfig" "$K3S_KUBECONFIG_OUTPUT"
    chmod "${K3S_KUBECONFIG_MODE:-600}" "$K3S_KUBECONFIG_OUTPUT"
fi
while sleep 1; do
    for each in $started; do
        kill -0 "${each%%:*}" 2>/dev/null && continue
        name=${each#*:}
        tail -n 20 "/run/k3s/$name.log" >&2
        stop
        fail "$name has ended; see the end of its log above"
    done
done
