"""Retries during an outage of the Kubernetes API, over real HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import tenacity
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from cloudseg_ops.contracts.errors import ClusterError
from cloudseg_ops.operators import _pod_manager
from cloudseg_ops.operators._pod_manager import RetryingPodManager

POD = client.V1Pod(metadata=client.V1ObjectMeta(name="engine", namespace="cloudseg"))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """An API server that answers with the given status codes, then with 200."""
    server_state = SimpleNamespace(codes=[], request_count=0)

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server_state.request_count += 1
            code = server_state.codes.pop(0) if server_state.codes else 200
            body = json.dumps({"kind": "Pod", "metadata": {"name": "engine"}} if code == 200 else {}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    monkeypatch.setattr(_pod_manager, "_PAUSE_SECONDS", 0.05)
    # Airflow's retries would take 15 s each time; RetryingPodManager exists because they are too few.
    monkeypatch.setattr(PodManager.read_pod.retry, "stop", tenacity.stop_after_attempt(1))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server_state.url = f"http://127.0.0.1:{server.server_port}"
    yield server_state
    server.shutdown()
    server.server_close()


def manager(url: str, outage_seconds: float) -> RetryingPodManager:
    configuration = client.Configuration(host=url)
    configuration.retries = False
    return RetryingPodManager(
        kube_client=client.CoreV1Api(client.ApiClient(configuration)), outage_seconds=outage_seconds
    )


def test_short_outage_is_retried(answers: SimpleNamespace) -> None:
    answers.codes = [503, 500, 429, 502]
    assert manager(answers.url, 30).read_pod(POD).metadata.name == "engine"
    assert answers.request_count == 5


def test_long_outage_raises_and_says_that_the_pod_is_resumed(answers: SimpleNamespace) -> None:
    answers.codes = [503] * 100
    with pytest.raises(ClusterError, match=r"did not answer for .*the next try resumes it"):
        manager(answers.url, 0.3).read_pod(POD)
    assert 2 < answers.request_count < 12


def test_unreachable_server_is_an_outage(answers: SimpleNamespace) -> None:
    with pytest.raises(ClusterError, match="did not answer"):
        manager("http://127.0.0.1:1", 0).read_pod(POD)


@pytest.mark.parametrize("code", [401, 403, 404, 422])
def test_refusal_is_not_retried(answers: SimpleNamespace, code: int) -> None:
    answers.codes = [code]
    with pytest.raises(ApiException) as raised:
        manager(answers.url, 30).read_pod(POD)
    assert (raised.value.status, answers.request_count) == (code, 1)


def test_deleted_pod_is_not_found(answers: SimpleNamespace) -> None:
    answers.codes = [503, 404]
    assert manager(answers.url, 30).find_pod(POD) is None
    assert answers.request_count == 2


def test_terminating_pods_are_awaited(answers: SimpleNamespace) -> None:
    ending = client.V1Pod(metadata=client.V1ObjectMeta(name="engine", namespace="cloudseg", uid=None))
    answers.codes = [200, 404]
    manager(answers.url, 30).await_end([ending], seconds=20)
    assert answers.request_count == 2


def test_new_pod_of_the_same_name_is_not_awaited(answers: SimpleNamespace) -> None:
    earlier = client.V1Pod(metadata=client.V1ObjectMeta(name="engine", namespace="cloudseg", uid="earlier"))
    manager(answers.url, 30).await_end([earlier], seconds=20)
    assert answers.request_count == 1
