#!/bin/sh
# check-composer.sh BUILD: lays the DAG folder out as a deploy does, in an environment of exactly that Composer build's
# versions, and parses it there: what is imported, what is found, how long it takes. BUILD names a list in
# requirements/composer. Needs what `make test` has installed.
set -eu
cd "$(dirname "$0")/.."
: "${STATE:=.cloudseg}"
python=$STATE/venv/bin/python
COMPOSER_PYTHON=$(PYTHON=$python scripts/composer-venv.sh "$1")
case $COMPOSER_PYTHON in /*) ;; *) COMPOSER_PYTHON=$PWD/$COMPOSER_PYTHON ;; esac
export COMPOSER_PYTHON
exec "$python" -m pytest -q -n0 tests/composer
