#!/bin/sh
# check-workflows.sh: checks .github/workflows without a network: against GitHub's schema, with zizmor (what an attacker
# could do with them) and, where it is installed, with actionlint (what the expressions in them mean).
#
# By environment, both optional:
#   PYTHON               the Python whose environment has the tools (.cloudseg/venv/bin/python)
#   REQUIRE_ACTIONLINT   1: fail without actionlint. It is not in requirements/test.lock, because its package downloads the
#                        program from GitHub; scripts/install-actionlint.sh installs it
set -eu
cd "$(dirname "$0")/.."
bin=$(dirname "${PYTHON:-.cloudseg/venv/bin/python}")

# tool NAME [ARGUMENT…]: what a tool says is shown when it finds something.
tool() {
    name=$1
    shift
    said=$("$bin/$name" "$@" 2>&1) || {
        printf '%s\n' "$said" >&2
        exit 1
    }
}

tool check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
tool check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
tool zizmor --offline --no-progress --persona=pedantic .github/workflows
if [ -x "$bin/actionlint" ]; then
    tool actionlint -shellcheck= -pyflakes=
elif [ "${REQUIRE_ACTIONLINT:-}" = 1 ]; then
    printf 'cloudseg: there is no actionlint in %s; scripts/install-actionlint.sh installs it\n' "$bin" >&2
    exit 1
fi
