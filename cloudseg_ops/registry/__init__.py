"""The model registry: a git repository under DVC, from which a run takes exactly one revision."""

from cloudseg_ops.registry._pull import pull_model

__all__ = ["pull_model"]
