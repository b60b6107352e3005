#!/bin/sh
# check-workflows.sh: checks .github/workflows and the workflow for model registries offline: against GitHub's schema,
# with zizmor (security) and, if it is installed, with actionlint (expressions).
#
# Environment variables, both optional:
#   PYTHON               Python of the environment that has the tools (.cloudseg/venv/bin/python)
#   REQUIRE_ACTIONLINT   1: fail without actionlint. It is not in requirements/test.lock, because its package downloads
#                        the program from GitHub; scripts/install-actionlint.sh installs it
set -eu
cd "$(dirname "$0")/.."
bin=$(dirname "${PYTHON:-.cloudseg/venv/bin/python}")

# tool NAME [ARGUMENT…]: runs a tool and shows its output only if it fails.
tool() {
    name=$1
    shift
    output=$("$bin/$name" "$@" 2>&1) || {
        printf '%s\n' "$output" >&2
        exit 1
    }
}

registry=examples/model-repository/.github/workflows
tool check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml "$registry"/*.yml
tool check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
tool zizmor --offline --no-progress --persona=pedantic .github/workflows "$registry"
if [ -x "$bin/actionlint" ]; then
    tool actionlint -shellcheck= -pyflakes= .github/workflows/*.yml "$registry"/*.yml
elif [ "${REQUIRE_ACTIONLINT:-}" = 1 ]; then
    printf 'cloudseg: there is no actionlint in %s; scripts/install-actionlint.sh installs it\n' "$bin" >&2
    exit 1
fi
