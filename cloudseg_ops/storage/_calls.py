"""How a call is made: repeated when that may help, and its errors told in cloudseg's own words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from cloudseg_ops.contracts.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
)

# A 404 does not say by any field whether the bucket or the object is missing, only by this sentence.
_NO_BUCKET = "specified bucket does not exist"


@contextlib.contextmanager
def translated(doing: str, *, bucket_only: bool = False) -> Iterator[None]:
    """Turn the client's errors into cloudseg's, which say what was being done and what to do next."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import InvalidResponse
    from requests.exceptions import RequestException

    try:
        try:
            yield
        except InvalidResponse as error:
            # Uploads in several requests raise this for a bare status instead of the client's own classes.
            status, text = error.response.status_code, error.response.text
            raise exceptions.from_http_status(status, text) from error  # type: ignore[no-untyped-call]
    except exceptions.NotFound as error:
        if bucket_only or _NO_BUCKET in error.message.lower():
            raise BucketNotFoundError(
                f"{doing}: there is no such bucket; create it, or correct the CLOUDSEG_*_BUCKET variables"
            ) from error
        raise ObjectNotFoundError(f"{doing}: it is not there") from error
    except exceptions.PreconditionFailed as error:
        raise PreconditionFailedError(f"{doing}: another generation is there by now") from error
    except (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError) as error:
        raise PermissionDeniedError(
            f"{doing}: refused ({error}); give the identity that runs this the roles of docs/architecture.md"
        ) from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, RequestException) as error:
        raise StorageError(f"{doing}: {type(error).__name__}: {error}; try again later") from error


def retry() -> Any:
    """The client's policy: exponential backoff on what Cloud Storage calls transient, for two minutes."""
    # Safe for every call here: each is a read, carries a generation, or writes the same bytes again.
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY
