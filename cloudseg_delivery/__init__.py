"""Deploys a revision of cloudseg to a Composer environment, tests it there with a dry run, and rolls back on failure.

`make deploy` and the workflow call `python -m cloudseg_delivery`. It needs Python, git, gcloud and, to build an image,
Docker. It uses only the standard library, so that no third-party code runs with the deployer's credentials. This
package is not delivered itself.
"""
