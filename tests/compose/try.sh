#!/bin/sh
# try.sh [OPTION…]: builds Airflow's image, and the engine's where it is not there yet, and brings the setup of
# docker-compose.yaml up and down again on this machine's Docker engine, as tests/compose/test_setup.py and test_pods.py
# tell. Where a base image cannot be pulled it makes a stand-in, which needs root, debootstrap and Linux
# (scripts/stand-in-base.sh). Options go to pytest.
#
# By environment, all optional:
#   PYTHON         Python with requirements/test.lock (.cloudseg/venv/bin/python)
#   KUBERNETES     folder with the programs of a Kubernetes, for a stand-in of k3s where that cannot be pulled; without,
#                  the profile k8s is skipped there
#   WHEELS         folder of wheels that pip takes before it asks an index
#   CA_BUNDLE      file of certificates (PEM) by which pip trusts the index
#   and what .env names: PIP_INDEX_URL, TORCH_INDEX, BUILD_NETWORK, AIRFLOW_BASE
set -eu
cd "$(dirname "$0")/../.."
: "${PYTHON:=.cloudseg/venv/bin/python}"

had() {
    docker image inspect "$1" >/dev/null 2>&1 || docker pull "$1" >/dev/null 2>&1
}

had "${AIRFLOW_BASE:-$(sed -n 's/^AIRFLOW_BASE=//p' .env)}" || scripts/stand-in-base.sh airflow
had "$(sed -n 's/^ *image: \(postgres:.*\)/\1/p' docker-compose.yaml)" || scripts/stand-in-base.sh postgres
if [ -n "${KUBERNETES:-}" ]; then
    had "$(sed -n 's/^ *image: \(rancher.*\)/\1/p' docker-compose.yaml)" || scripts/stand-in-base.sh k3s
fi
if ! docker image inspect cloudseg-inference:dev >/dev/null 2>&1; then
    had "$(sed -n 's/^ARG BASE=//p' docker/inference/Dockerfile)" || scripts/stand-in-base.sh engine
    NETWORK=${BUILD_NETWORK:-} scripts/image.sh
fi
inputs=docker/airflow/inputs
if [ -n "${WHEELS:-}" ]; then mkdir -p $inputs/wheels && cp "$WHEELS"/*.whl $inputs/wheels; fi
if [ -n "${CA_BUNDLE:-}" ]; then cp "$CA_BUNDLE" $inputs/ca.crt; fi
if docker compose version >/dev/null 2>&1; then docker compose build; else docker-compose build; fi
exec "$PYTHON" -m pytest --numprocesses=0 tests/compose "$@"
