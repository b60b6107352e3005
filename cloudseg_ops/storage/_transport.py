"""Single requests over the client's own session, without what `requests` and the client repeat for each of them.

A chunk is tens of thousands of small requests. `Blob` and `Session.request` spend about 1 ms of CPU on each, most of it
on what never changes: proxies from the environment, cookies, URLs taken apart. Here it is done once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from google.auth.transport.requests import AuthorizedSession, Request
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from google.cloud.storage import Client

TIMEOUT = (61.0, 60.0)
"""Seconds to connect, and between two bytes of an answer: what google-cloud-storage waits for media."""
_LEFT_TO_SESSION = frozenset({301, 302, 303, 307, 308, 401})


class Transport:
    """Sends requests with the client's credentials, endpoint, proxies, certificates and connections.

    What is rare is left to the session itself: a redirect, credentials that were refused, mutual TLS.
    """

    def __init__(self, client: Client) -> None:
        self._session: AuthorizedSession = client._http
        connection = client._connection
        self._base: str = connection.get_api_base_url_for_mtls()
        self._prefix = f"storage/{connection.API_VERSION}/b"
        self._settings = self._session.merge_environment_settings(self._base, {}, True, None, None)
        self._agent: str = connection.user_agent
        self._headers = {**connection.extra_headers, "User-Agent": self._agent, "Accept-Encoding": "gzip"}
        refreshing = Session()
        refreshing.mount("https://", HTTPAdapter(max_retries=3))
        self._refresh = partial(Request(refreshing), timeout=TIMEOUT[1])

    def media_url(self, bucket: str, name: str, generation: int | None) -> str:
        """Where the bytes of an object are."""
        url = f"{self._base}/download/{self._prefix}/{bucket}/o/{quote(name, safe='~')}?alt=media"
        return url if generation is None else f"{url}&generation={generation}"

    def upload_url(self, bucket: str, if_generation_match: int | None) -> str:
        """Where an object and its metadata go in one request."""
        url = f"{self._base}/upload/{self._prefix}/{bucket}/o?uploadType=multipart"
        return url if if_generation_match is None else f"{url}&ifGenerationMatch={if_generation_match}"

    def new_call(self) -> dict[str, str]:
        """Headers that all tries of one call share: by them Google tells repeats from new calls."""
        # Spelled as google-auth does, which adds to it.
        return {"x-goog-api-client": f"{self._agent} gccl-invocation-id/{uuid.uuid4()}"}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """Send one request and return the answer, its body unread; the caller must read or close it.

        Raises:
            requests.RequestException: There was no answer.
            google.auth.exceptions.GoogleAuthError: There are no usable credentials.
        """
        adapter = self._session.get_adapter(url)
        if not isinstance(adapter, HTTPAdapter) or self._session.is_mtls:
            return self._send_by_session(method, url, headers, body)
        authorized = {**self._headers, **headers}
        if body is not None:
            authorized["Content-Length"] = str(len(body))
        self._session.credentials.before_request(self._refresh, method, url, authorized)
        request = PreparedRequest()
        # What `prepare` would make of them: these are complete, quoted and of the right types already.
        request.method, request.url, request.body = method, url, body
        request.headers = CaseInsensitiveDict(authorized)
        response = adapter.send(request, timeout=TIMEOUT, **self._settings)
        if response.status_code in _LEFT_TO_SESSION:
            response.close()
            if response.status_code == 401:
                self._session.credentials.refresh(self._refresh)
            return self._send_by_session(method, url, headers, body)
        return response

    def _send_by_session(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        response: Response = self._session.request(  # type: ignore[no-untyped-call]
            method, url, data=body, headers={**self._headers, **headers}, timeout=TIMEOUT, stream=True
        )
        return response


def tune(client: Client, connections: int) -> None:
    """Let a client keep so many connections open, and read proxies and certificates from the environment once.

    Not read from then on: `.netrc`, whose password would take the place of the credentials.
    """
    session: AuthorizedSession = client._http
    settings = session.merge_environment_settings(client._connection.get_api_base_url_for_mtls(), {}, None, None, None)
    session.proxies, session.verify, session.trust_env = settings["proxies"], settings["verify"], False
    if session.is_mtls:
        return  # its adapter holds the client's certificate
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections))
