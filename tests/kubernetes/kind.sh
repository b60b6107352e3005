#!/bin/sh
# kind.sh: makes a kind cluster whose worker has the label, the taint and 2 pretend GPUs of a GPU node on GKE, and loads
# the engine's image into it. Does again what can be done again. Its kubeconfig is KUBECONFIG's (~/.kube/config).
#
# By environment, both optional:
#   CLUSTER   name of the cluster (cloudseg); `kind delete cluster --name cloudseg` removes it
#   IMAGE     the engine's image (cloudseg-inference:dev)
set -eu
cd "$(dirname "$0")"
: "${CLUSTER:=cloudseg}" "${IMAGE:=cloudseg-inference:dev}"
worker=$CLUSTER-worker

fail() {
    printf 'cloudseg: %s\n' "$1" >&2
    exit 1
}

for program in docker kind kubectl; do
    command -v "$program" >/dev/null 2>&1 || fail "$program is not on the PATH; install it"
done
docker image inspect "$IMAGE" >/dev/null 2>&1 || fail "Docker has no image $IMAGE; \`make image\` builds it"

kind get clusters 2>/dev/null | grep -qxF "$CLUSTER" ||
    kind create cluster --name "$CLUSTER" --config kind.yaml --wait 180s
kind load docker-image "$IMAGE" --name "$CLUSTER"

on_cluster() {
    kubectl --context "kind-$CLUSTER" "$@"
}
on_cluster taint node "$worker" nvidia.com/gpu=present:NoSchedule --overwrite
# An extended resource, as kubernetes.io/docs/tasks/administer-cluster/extended-resource-node has it: the scheduler counts
# it, and nothing is behind it. The kubelet takes it over into what is allocatable.
on_cluster patch node "$worker" --subresource=status --type=json \
    --patch '[{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": "2"}]'
on_cluster wait node "$worker" --for='jsonpath={.status.allocatable.nvidia\.com/gpu}=2' --timeout=120s
on_cluster wait node --all --for=condition=Ready --timeout=120s
