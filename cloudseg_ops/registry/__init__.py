"""The model registry: a git repository under DVC, of which a run uses exactly one revision."""

from cloudseg_ops.registry._names import list_revisions, without_credentials
from cloudseg_ops.registry._policy import RevisionPolicy
from cloudseg_ops.registry._pull import pull_model

__all__ = ["RevisionPolicy", "list_revisions", "pull_model", "without_credentials"]
