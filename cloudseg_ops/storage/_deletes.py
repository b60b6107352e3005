"""Batches of deletes, each call of which has its own answer."""

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
    """Delete exactly these versions in one batch request, and again those that were put off.

    Args:
        client: Of google-cloud-storage.
        bucket: Their bucket.
        versions: Names and generations, at most `BATCH_SIZE`.
        pacer: Each delete waits for its turn.

    Returns:
        What became of each, in order.
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
        for index, answer in zip(pending, perform(client, calls), strict=True):
            if answer.status in _TRANSIENT:
                continue
            if answer.status not in _DELETIONS:
                raise from_http_status(answer.status, answer.reason)  # type: ignore[no-untyped-call]
            outcomes[index] = _DELETIONS[answer.status]
        if len(outcomes) < len(versions):
            raise ServiceUnavailable(  # type: ignore[no-untyped-call]
                f"{len(versions) - len(outcomes)} of {len(versions)} deletes were put off"
            )

    def put_off(error: Exception) -> None:
        # A cut connection says nothing of the pace.
        if isinstance(error, GoogleAPICallError):
            pacer.push_back()
        pacer.wait(len(versions) - len(outcomes))

    # Not a part of the call that has two minutes: under a slow pace, a turn may be long in coming.
    pacer.wait(len(versions))
    with translated(f"delete {len(versions)} objects of gs://{bucket}"):
        retry()(attempt, on_error=put_off)()
    return [outcomes[index] for index in range(len(versions))]
