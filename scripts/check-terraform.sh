#!/bin/sh
# check-terraform.sh: checks the format of deploy/terraform, and validates it against the providers, which Terraform
# downloads. Plans nothing and needs no credentials. Does not change the work tree.
set -eu
cd "$(dirname "$0")/.."
command -v terraform >/dev/null 2>&1 || {
    printf 'cloudseg: there is no terraform on the PATH; install it, 1.9 or later\n' >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp deploy/terraform/*.tf "$work"
cd "$work"
terraform fmt -check -diff -no-color
terraform init -backend=false -input=false -no-color >init.log 2>&1 || {
    cat init.log >&2
    exit 1
}
terraform validate -no-color
