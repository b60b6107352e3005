"""The model registry: a git repository under DVC, of which a run uses exactly one revision.

Each name loads its module on first use: a DAG's parse needs only the revisions that its form offers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudseg_ops.registry._listing import list_revisions
    from cloudseg_ops.registry._names import without_credentials
    from cloudseg_ops.registry._policy import RevisionPolicy
    from cloudseg_ops.registry._pull import pull_model
    from cloudseg_ops.registry._remote import RegistryOptions

__all__ = ["RegistryOptions", "RevisionPolicy", "list_revisions", "pull_model", "without_credentials"]

_MODULES = {
    "RegistryOptions": "_remote",
    "RevisionPolicy": "_policy",
    "list_revisions": "_listing",
    "pull_model": "_pull",
    "without_credentials": "_names",
}


def __getattr__(name: str) -> Any:
    """Import and return a public name.

    Raises:
        AttributeError: There is no public name `name`.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
