"""Deletes objects in batch requests, in which each delete has its own result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from cloudseg_ops.storage._batches import Call, perform
from cloudseg_ops.storage._calls import retry, translated
from cloudseg_ops.storage._pace import Pacer
from cloudseg_ops.storage._types import Deletion

if TYPE_CHECKING:
    from google.cloud.storage import Client

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_DELETIONS = {
    200: Deletion.DELETED,
    204: Deletion.DELETED,
    404: Deletion.GONE,
    412: Deletion.CHANGED,
}


def delete_batch(client: Client, bucket: str, versions: Sequence[tuple[str, int]], pacer: Pacer) -> list[Deletion]:
    """Delete exactly these versions in one batch request, and retry deletes with transient errors.

    Args:
        client: A client of google-cloud-storage.
        bucket: Name of the bucket.
        versions: Names and generations, at most `BATCH_SIZE`.
        pacer: Limits the rate of deletes.

    Returns:
        The outcome of each delete, in order.

    Raises:
        PermissionDeniedError: A delete was refused.
        StorageError: A delete failed, after two minutes of retries if its error was transient.
    """
    from google.api_core.exceptions import GoogleAPICallError, ServiceUnavailable, from_http_status

    outcomes: dict[int, Deletion] = {}
    folder = f"/b/{quote(bucket, safe='')}/o/"

    def attempt() -> None:
        pending = [index for index in range(len(versions)) if index not in outcomes]
        calls = [
            Call("DELETE", folder + quote(name, safe=""), {"ifGenerationMatch": generation})
            for name, generation in (versions[index] for index in pending)
        ]
        for index, response in zip(pending, perform(client, calls), strict=True):
            if response.status in _TRANSIENT:
                continue
            if response.status not in _DELETIONS:
                raise from_http_status(response.status, response.reason)  # type: ignore[no-untyped-call]
            outcomes[index] = _DELETIONS[response.status]
        if len(outcomes) < len(versions):
            raise ServiceUnavailable(  # type: ignore[no-untyped-call]
                f"{len(versions) - len(outcomes)} of {len(versions)} deletes had transient errors"
            )

    def wait_before_retry(error: Exception) -> None:
        # A broken connection does not mean that the rate is too high.
        if isinstance(error, GoogleAPICallError):
            pacer.push_back()
        pacer.wait(len(versions) - len(outcomes))

    # Outside the call, whose retries end after two minutes: at a low rate, the wait may be longer.
    pacer.wait(len(versions))
    with translated(f"delete {len(versions)} objects of gs://{bucket}"):
        retry()(attempt, on_error=wait_before_retry)()
    return [outcomes[index] for index in range(len(versions))]
