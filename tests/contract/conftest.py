"""What the contract suite runs against: our emulator, or the server that CLOUDSEG_CONTRACT_ENDPOINT names.

Where another server is known to differ from Cloud Storage, the test accepts that with a comment (`is_foreign`). Our
emulator has no such exceptions.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FOREIGN = "CLOUDSEG_CONTRACT_ENDPOINT"


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server under test."""
    foreign = os.environ.get(_FOREIGN)
    if foreign:
        yield foreign.rstrip("/")
        return
    from gcs_emulator import start_emulator

    with start_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator.url


@pytest.fixture(scope="session")
def client(endpoint: str) -> storage.Client:
    return storage.Client(
        project="contract",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": endpoint},
    )


@pytest.fixture
def bucket(client: storage.Client) -> Iterator[storage.Bucket]:
    """A bucket for one test, deleted with its objects afterwards."""
    made = client.create_bucket(f"contract-{uuid.uuid4().hex[:20]}")
    yield made
    for blob in list(client.list_blobs(made)):
        with contextlib.suppress(NotFound):
            blob.delete()
    made.delete()


@pytest.fixture
def unless_foreign_lacks(endpoint: str) -> Callable[[str, Callable[[], requests.Response]], None]:
    """Skip a test of a call that another server does not implement, showing its response.

    Tests of our emulator are never skipped.
    """

    def check(what: str, call: Callable[[], requests.Response]) -> None:
        if not os.environ.get(_FOREIGN):
            return
        answer = call()
        if answer.status_code in {400, 404, 405, 501}:
            pytest.skip(f"{endpoint} has no {what}: {answer.status_code} {answer.text[:80]!r}")

    return check


@pytest.fixture
def needs_batch(endpoint: str, bucket: Any, unless_foreign_lacks: Callable[..., None]) -> None:
    """Skip the test if the server has no batch endpoint."""
    body = f"--b\r\nContent-Type: application/http\r\n\r\nGET /storage/v1/b/{bucket.name} HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    headers = {"Content-Type": 'multipart/mixed; boundary="b"'}
    unless_foreign_lacks(
        "batch", lambda: requests.post(f"{endpoint}/batch/storage/v1", data=body, headers=headers, timeout=10)
    )


@pytest.fixture
def needs_pages(endpoint: str, bucket: Any) -> None:
    """Skip the test if the server ignores maxResults."""
    if not os.environ.get(_FOREIGN):
        return
    for name in ("page-probe-1", "page-probe-2"):
        bucket.blob(name).upload_from_string(b"")
    answer = requests.get(f"{endpoint}/storage/v1/b/{bucket.name}/o?maxResults=1", timeout=10).json()
    for name in ("page-probe-1", "page-probe-2"):
        bucket.blob(name).delete()
    if len(cast("list[Any]", answer["items"])) != 1:
        pytest.skip(f"{endpoint} has no pages: it answers maxResults=1 with {len(answer['items'])} items")


@pytest.fixture(scope="session")
def is_foreign() -> bool:
    """Whether the server under test is not our emulator."""
    return bool(os.environ.get(_FOREIGN))


@pytest.fixture
def needs_globs(bucket: Any, endpoint: str, is_foreign: bool) -> None:
    """Skip the test if a star matches slashes, unlike in Cloud Storage."""
    if not is_foreign:
        return
    bucket.blob("glob/probe").upload_from_string(b"")
    answer = requests.get(f"{endpoint}/storage/v1/b/{bucket.name}/o?matchGlob=*e", timeout=10).json()
    bucket.blob("glob/probe").delete()
    if answer.get("items"):
        pytest.skip(f"{endpoint} matches globs as path names: *e found {answer['items'][0]['name']}")
