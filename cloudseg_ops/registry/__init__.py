"""The model registry: a git repository under DVC, of which a run uses exactly one revision."""

from cloudseg_ops.registry._listing import list_revisions
from cloudseg_ops.registry._names import without_credentials
from cloudseg_ops.registry._policy import RevisionPolicy
from cloudseg_ops.registry._pull import pull_model
from cloudseg_ops.registry._remote import RegistryOptions

__all__ = ["RegistryOptions", "RevisionPolicy", "list_revisions", "pull_model", "without_credentials"]
