"""Retries and error translation for calls to Cloud Storage."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cloudseg_ops.contracts.errors import (
    BucketNotFoundError,
    ObjectEncryptedError,
    ObjectHeldError,
    ObjectNotFoundError,
    ObjectRetainedError,
    ObjectUnreadableError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
)

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError

# Cloud Storage documents the reason `objectUnderActiveHold`, but a hold is observed to have the reason `forbidden`, as
# a missing permission has: https://cloud.google.com/storage/docs/json_api/v1/status-codes
_HOLD = re.compile(r"under active \S+ hold", re.IGNORECASE)
RATE_LIMITS = ("rateLimitExceeded", "userRateLimitExceeded")
"""Reasons of a 403 that is transient (cloud.google.com/storage/docs/json_api/v1/status-codes)."""
_TRANSIENT = frozenset({408, 429})
# A 404 has no field that distinguishes a missing bucket from a missing object, only this message.
_NO_BUCKET = "specified bucket does not exist"


@contextlib.contextmanager
def translated(doing: str, *, bucket_only: bool = False) -> Iterator[None]:
    """Translate the client's errors into `StorageError`s that name the operation and what to do next.

    Args:
        doing: The operation, with which messages begin, such as `read gs://bucket/name`.
        bucket_only: Whether any 404 means that the bucket is missing.
    """
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except exceptions.NotFound as error:
        if bucket_only or _NO_BUCKET in error.message.lower():
            raise BucketNotFoundError(
                f"{doing}: there is no such bucket; create it, or correct the CLOUDSEG_*_BUCKET variables"
            ) from error
        raise ObjectNotFoundError(f"{doing}: there is no such object") from error
    except exceptions.PreconditionFailed as error:
        raise PreconditionFailedError(f"{doing}: the object now has another generation") from error
    except exceptions.Forbidden as error:
        raise refusal(doing, error) from error
    except (exceptions.Unauthorized, GoogleAuthError) as error:
        raise _denied(doing, error) from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, RequestException) as error:
        status = getattr(error, "code", None)
        permanent = status is not None and status < 500 and status not in _TRANSIENT
        todo = "correct what the message names" if permanent else "try again later"
        raise StorageError(f"{doing}: {type(error).__name__}: {error}; {todo}") from error


@contextlib.contextmanager
def translated_read(doing: str) -> Iterator[None]:
    """Translate errors of an input's download as `translated` does, and refusals into `ObjectUnreadableError`."""
    from google.api_core.exceptions import BadRequest, Forbidden

    with translated(doing):
        try:
            yield
        except (BadRequest, Forbidden) as error:
            if any(_has_reason(error, reason) for reason in RATE_LIMITS):
                raise StorageError(f"{doing}: {type(error).__name__}: {error}; try again later") from error
            raise _unreadable(doing, error) from error


def _unreadable(doing: str, error: GoogleAPICallError) -> ObjectUnreadableError:
    # The client puts the address in front, but equal reasons should read the same.
    address = error.response.request.url if error.response is not None else ""
    text = str(error.message).rpartition(f"{address}: ")[2] if address else str(error.message)
    if "customer-supplied encryption key" in text:
        reason = (
            f"it is encrypted with a customer-supplied key, which cloudseg does not have ({text}); rewrite it with a "
            "key of Google or Cloud KMS, or move it out of the input prefix"
        )
        return ObjectEncryptedError(f"{doing}: {reason}", reason)
    if "requester pays" in text.lower():
        reason = f"its bucket charges the requester ({text}); set GOOGLE_CLOUD_QUOTA_PROJECT to the project that pays"
    else:
        reason = (
            f"Cloud Storage refuses to return it ({type(error).__name__}: {text}); grant the identity that runs this "
            "the roles listed in docs/architecture.md, or move it out of the input prefix"
        )
    return ObjectUnreadableError(f"{doing}: {reason}", reason)


def refusal(doing: str, error: GoogleAPICallError) -> PermissionDeniedError:
    """Translate a 403: a hold, a retention policy, or a missing permission.

    Args:
        doing: The operation, with which the message begins.
        error: The client's error.
    """
    text = str(error.message)
    if _HOLD.search(text) or _has_reason(error, "objectUnderActiveHold"):
        return ObjectHeldError(f"{doing}: the object is under a hold ({text}); release the hold, then try again")
    if _has_reason(error, "retentionPolicyNotMet"):
        return ObjectRetainedError(f"{doing}: a retention policy keeps the object ({text})")
    return _denied(doing, error)


def _denied(doing: str, error: Exception) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{doing}: refused ({error}); grant the identity that runs this the roles listed in docs/architecture.md"
    )


def _has_reason(error: GoogleAPICallError, reason: str) -> bool:
    return any(isinstance(item, dict) and item.get("reason") == reason for item in error.errors)


def response_error(response: Any) -> Exception:
    """Return the client's error for a response that reports one; a transient error if its body cannot be decoded.

    Args:
        response: A `requests.Response`.
    """
    from google.api_core.exceptions import ServiceUnavailable, from_http_response
    from requests.exceptions import ContentDecodingError

    try:
        error: Exception = from_http_response(response)  # type: ignore[no-untyped-call]
    except ContentDecodingError as failed:
        return ServiceUnavailable(  # type: ignore[no-untyped-call]
            f"the response with status {response.status_code} is not in its Content-Encoding ({failed})"
        )
    return error


def retry() -> Any:
    """Return the client's retry policy: exponential backoff on transient errors, for two minutes."""
    # Safe for every call in this package: each is a read, has a precondition, or writes the same bytes again.
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY
