"""Deploys a revision of cloudseg to a Composer environment, tests it with a dry run, and rolls back if it fails.

`python -m cloudseg_delivery` is what `make deploy` and the workflow call. It needs Python, git, gcloud and, for an
image that is not there yet, Docker: no package beyond the standard library, so that nothing else runs with the
deployer's credentials. None of this is delivered itself.
"""
