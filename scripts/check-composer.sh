#!/bin/sh
# check-composer.sh BUILD: lays out the DAG folder as a deployment does and parses it with exactly the package versions
# of a Composer build: checks imports, the DAGs found and the parse time. BUILD names a list in requirements/composer.
# Needs the environment of `make test`.
set -eu
cd "$(dirname "$0")/.."
: "${STATE:=.cloudseg}"
python=$STATE/venv/bin/python
COMPOSER_PYTHON=$(PYTHON=$python scripts/composer-venv.sh "$1")
case $COMPOSER_PYTHON in /*) ;; *) COMPOSER_PYTHON=$PWD/$COMPOSER_PYTHON ;; esac
export COMPOSER_PYTHON
exec "$python" -m pytest -q -n0 tests/composer
