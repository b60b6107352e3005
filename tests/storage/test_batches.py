"""Responses to batch requests: in any order, with other line endings, or incomplete."""

import random

import pytest
from google.api_core.exceptions import GoogleAPICallError, ServiceUnavailable

from cloudseg_ops.storage import Store
from cloudseg_ops.storage._batches import Call, _parse_responses, perform
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.support.samples import put_inputs

TYPE = 'multipart/mixed; boundary="batch_x y"'


def _part(number: int, status: int, body: str = "") -> str:
    return (
        f"--batch_x y\r\nContent-Type: application/http\r\nContent-ID: <response-call-{number}>\r\n\r\n"
        f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n\r\n{body}\r\n"
    )


def test_responses_are_matched_to_calls_by_id() -> None:
    statuses = [200, 204, 404, 412, 503] * 4
    parts = [_part(number, status) for number, status in enumerate(statuses)]
    random.Random(3).shuffle(parts)
    found = _parse_responses(("".join(parts) + "--batch_x y--\r\n").encode(), TYPE, len(statuses))
    assert [answer.status for answer in found] == statuses


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"error": {"code": 403, "message": "who are you?"}}', "who are you?"),
        ("", ""),
        ("<html>", ""),
        ('{"half', '{"half'),
        ('{"error": "short"}', '{"error": "short"}'),
    ],
)
def test_reason_of_an_error_is_extracted(body: str, reason: str) -> None:
    (found,) = _parse_responses((_part(0, 403, body) + "--batch_x y--").encode(), TYPE, 1)
    assert found.status == 403
    assert found.reason.strip() == reason


@pytest.mark.parametrize("numbers", [[], [0], [0, 2], [0, 0], [0, 1, 2], [7, 8]])
def test_an_incomplete_response_raises(numbers: list[int]) -> None:
    body = "".join(_part(number, 204) for number in numbers) + "--batch_x y--"
    with pytest.raises(ServiceUnavailable, match="of 2 calls"):
        _parse_responses(body.encode(), TYPE, 2)


def test_calls_of_several_kinds_get_their_own_responses(store: Store, buckets: Buckets, emulator: Emulator) -> None:
    (put,) = put_inputs(store, buckets.input, ["Größe 1#2?.jpg"])
    path = f"/b/{buckets.input}/o/Gr%C3%B6%C3%9Fe%201%232%3F.jpg"
    calls = [
        Call("GET", path, {"fields": "name"}),
        Call("DELETE", f"/b/{buckets.input}/o/gone"),
        Call("DELETE", path, {"ifGenerationMatch": put.generation + 1}),
        Call("DELETE", path, {"ifGenerationMatch": put.generation}),
    ]
    found = perform(store._client, calls)
    assert [answer.status for answer in found] == [200, 404, 412, 204]
    assert found[0].reason == found[3].reason == ""
    assert "gone" in found[1].reason


def test_rejected_batch_raises(store: Store, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=429, method="POST", path="/batch"))
    with pytest.raises(GoogleAPICallError) as raised:
        perform(store._client, [Call("GET", "/b/x")])
    assert raised.value.code == 429
