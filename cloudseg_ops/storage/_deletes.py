"""Deletes objects in batch requests, in which each delete has its own result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from cloudseg_ops.contracts.errors import ObjectHeldError, ObjectRetainedError, StorageError
from cloudseg_ops.storage._batches import Call, CallResponse, perform
from cloudseg_ops.storage._calls import RATE_LIMITS, refusal, retry, translated
from cloudseg_ops.storage._pace import Pacer
from cloudseg_ops.storage._types import REFUSALS, DeleteResult, Deletion

if TYPE_CHECKING:
    from google.cloud.storage import Client

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_DELETIONS = {
    200: Deletion.DELETED,
    204: Deletion.DELETED,
    404: Deletion.GONE,
    412: Deletion.CHANGED,
}


def delete_batch(client: Client, bucket: str, versions: Sequence[tuple[str, int]], pacer: Pacer) -> list[DeleteResult]:
    """Delete exactly these versions in one batch request, and retry deletes with transient errors.

    A delete that is refused, or that still fails after two minutes of retries, has that as its outcome and leaves the
    others alone.

    Args:
        client: A client of google-cloud-storage.
        bucket: Name of the bucket.
        versions: Names and generations, at most `BATCH_SIZE`.
        pacer: Limits the rate of deletes.

    Returns:
        The result of each delete, in order.

    Raises:
        PermissionDeniedError: The request as a whole was refused, or its credentials were.
        StorageError: The request as a whole failed, after two minutes of retries if its error was transient.
    """
    batch = _Batch(client, bucket, versions)

    def wait_before_retry(error: Exception) -> None:
        from google.api_core.exceptions import GoogleAPICallError

        # A broken connection does not mean that the rate is too high.
        if isinstance(error, GoogleAPICallError):
            pacer.push_back()
        pacer.wait(len(batch.pending))

    # Outside the call, whose retries end after two minutes: at a low rate, the wait may be longer.
    pacer.wait(len(versions))
    try:
        with translated(f"delete {len(versions)} objects of gs://{bucket}"):
            retry()(batch.attempt, on_error=wait_before_retry)()
    except StorageError:
        if not batch.answered:
            raise
        batch.settle_failed()
    return [batch.results[index] for index in range(len(versions))]


class _Batch:
    """Deletes of one batch request, and their results so far."""

    def __init__(self, client: Client, bucket: str, versions: Sequence[tuple[str, int]]) -> None:
        self._client = client
        self._bucket = bucket
        self._versions = versions
        self._transient: dict[int, CallResponse] = {}
        self.results: dict[int, DeleteResult] = {}
        self.answered = False
        """Whether the last request was answered, so that only single deletes of it failed."""

    @property
    def pending(self) -> list[int]:
        return [index for index in range(len(self._versions)) if index not in self.results]

    def attempt(self) -> None:
        from google.api_core.exceptions import ServiceUnavailable, Unauthorized

        self.answered = False
        pending = self.pending
        for index, response in zip(pending, perform(self._client, self._calls(pending)), strict=True):
            if response.status == 401:  # the credentials of the whole request
                raise Unauthorized(response.reason)  # type: ignore[no-untyped-call]
            if response.status in _TRANSIENT or response.has_reason(*RATE_LIMITS):
                self._transient[index] = response
            else:
                self.results[index] = _result(response)
        self.answered = True
        if rest := len(self._versions) - len(self.results):
            raise ServiceUnavailable(  # type: ignore[no-untyped-call]
                f"{rest} of {len(self._versions)} deletes had transient errors"
            )

    def settle_failed(self) -> None:
        """Give the deletes that had transient errors until the end their results."""
        for index in self.pending:
            response = self._transient[index]
            self.results[index] = DeleteResult(Deletion.FAILED, f"{response.status} {response.reason}".strip())

    def _calls(self, pending: Sequence[int]) -> list[Call]:
        folder = f"/b/{quote(self._bucket, safe='')}/o/"
        return [
            Call("DELETE", folder + quote(name, safe=""), {"ifGenerationMatch": generation})
            for name, generation in (self._versions[index] for index in pending)
        ]


def raise_refusal(bucket: str, results: Sequence[DeleteResult]) -> None:
    """Raise the error of the first delete that was refused or failed, if any.

    Args:
        bucket: Name of the bucket.
        results: The results of deletes.

    Raises:
        PermissionDeniedError: A delete was refused.
        StorageError: A delete failed.
    """
    from google.api_core.exceptions import Forbidden

    refused = next((result for result in results if result.outcome in REFUSALS), None)
    if refused is None:
        return
    doing = f"delete {len(results)} objects of gs://{bucket}"
    if refused.outcome is Deletion.FAILED:
        raise StorageError(f"{doing}: {refused.reason}; try again later")
    # Its reason is in its message, except that of a retention policy.
    errors = [{"reason": "retentionPolicyNotMet"}] if refused.outcome is Deletion.RETAINED else []
    raise refusal(doing, Forbidden(refused.reason, errors=errors))  # type: ignore[no-untyped-call]


def _result(response: CallResponse) -> DeleteResult:
    from google.api_core.exceptions import Forbidden

    if response.status in _DELETIONS:
        return DeleteResult(_DELETIONS[response.status])
    if response.status != 403:
        return DeleteResult(Deletion.FAILED, f"{response.status} {response.reason}".strip())
    error = refusal("", Forbidden(response.reason, errors=response.errors))  # type: ignore[no-untyped-call]
    if isinstance(error, ObjectHeldError):
        return DeleteResult(Deletion.HELD, response.reason)
    if isinstance(error, ObjectRetainedError):
        return DeleteResult(Deletion.RETAINED, response.reason)
    return DeleteResult(Deletion.FORBIDDEN, response.reason)
