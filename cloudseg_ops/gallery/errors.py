"""The exceptions of the gallery's pages, which no task raises."""

from cloudseg_ops.contracts.errors import CloudsegError


class GalleryError(CloudsegError):
    """A page of the gallery does not exist, or cannot be shown."""


class NotShownError(GalleryError):
    """An object cannot be shown as a picture; the message is a reason for people to read."""


class BusyError(GalleryError):
    """The gallery is already making as many pictures as its limit allows."""
