"""Batches of deletes, each call of which has its own answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudseg_ops.storage._calls import retry, translated
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


def delete_batch(client: Client, bucket: str, versions: Sequence[tuple[str, int]]) -> list[Deletion]:
    """Delete exactly these versions in one batch request, and again those that were put off.

    Args:
        client: Of google-cloud-storage.
        bucket: Their bucket.
        versions: Names and generations, at most `BATCH_SIZE`.

    Returns:
        What became of each, in order.
    """
    from google.api_core.exceptions import ServiceUnavailable, from_http_response

    outcomes: dict[int, Deletion] = {}

    def attempt() -> None:
        pending = [index for index in range(len(versions)) if index not in outcomes]
        handle = client.bucket(bucket)
        with client.batch(raise_exception=False) as request:
            for index in pending:
                name, generation = versions[index]
                handle.blob(name).delete(if_generation_match=generation)
        for index, response in zip(pending, request._responses, strict=True):
            if response.status_code in _TRANSIENT:
                continue
            if response.status_code not in _DELETIONS:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            outcomes[index] = _DELETIONS[response.status_code]
        if len(outcomes) < len(versions):
            raise ServiceUnavailable(  # type: ignore[no-untyped-call]
                f"{len(versions) - len(outcomes)} of {len(versions)} deletes were put off"
            )

    with translated(f"delete {len(versions)} objects of gs://{bucket}"):
        retry()(attempt)()
    return [outcomes[index] for index in range(len(versions))]
