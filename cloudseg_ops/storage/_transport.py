"""Sends single requests over the client's session, without the overhead of `requests` and `Blob`.

A chunk takes tens of thousands of small requests. `Blob` and `Session.request` spend about 1 ms of CPU on each, mostly
on work that is the same each time, such as proxies, cookies and URL parsing. Here it is done once.
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

from cloudseg_ops.storage._deadlines import limit_durations

if TYPE_CHECKING:
    from google.cloud.storage import Client

TIMEOUT = (61.0, 60.0)
"""Seconds to connect, and between two bytes of a response, as in google-cloud-storage's media requests."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Transport:
    """Sends requests with the client's credentials, endpoint, proxies, certificates and connections.

    Rare cases are left to the session: redirects, rejected credentials and mutual TLS.

    Args:
        client: A client of google-cloud-storage.
    """

    def __init__(self, client: Client) -> None:
        self._session: AuthorizedSession = client._http
        limit_durations(self._session)
        if refreshes := getattr(self._session, "_auth_request_session", None):
            limit_durations(refreshes)
        connection = client._connection
        self._base: str = connection.get_api_base_url_for_mtls()
        self._prefix = f"storage/{connection.API_VERSION}/b"
        self._settings = self._session.merge_environment_settings(self._base, {}, True, None, None)
        self._agent: str = connection.user_agent
        self._headers = {**connection.extra_headers, "User-Agent": self._agent, "Accept-Encoding": "gzip"}
        refreshing = Session()
        refreshing.mount("https://", HTTPAdapter(max_retries=3))
        limit_durations(refreshing)
        self._refresh = partial(Request(refreshing), timeout=TIMEOUT[1])

    def media_url(self, bucket: str, name: str, generation: int | None) -> str:
        """Return the download URL of an object.

        Args:
            bucket: Name of the bucket.
            name: Name of the object, not percent-encoded.
            generation: The generation to download; None: the current one.
        """
        url = f"{self._base}/download/{self._prefix}/{bucket}/o/{quote(name, safe='~')}?alt=media"
        return url if generation is None else f"{url}&generation={generation}"

    def api_url(self, path: str, query: str) -> str:
        """Return the URL of a call of the JSON API.

        Args:
            path: Path relative to `/storage/v1/b`, percent-encoded.
            query: Query string.
        """
        return f"{self._base}/{self._prefix}{path}?{query}"

    def upload_url(self, bucket: str, kind: str, if_generation_match: int | None) -> str:
        """Return the URL for uploading an object.

        Args:
            bucket: Name of the bucket.
            kind: `multipart` for an upload with metadata in one request, `resumable` for a session.
            if_generation_match: Write only if this is the current generation; None: always.
        """
        url = f"{self._base}/upload/{self._prefix}/{bucket}/o?uploadType={kind}"
        return url if if_generation_match is None else f"{url}&ifGenerationMatch={if_generation_match}"

    def new_call(self) -> dict[str, str]:
        """Return the headers shared by all attempts of a call, by which Google distinguishes retries from new calls."""
        # In lower case, because google-auth appends to the header of this name.
        return {"x-goog-api-client": f"{self._agent} gccl-invocation-id/{uuid.uuid4()}"}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """Send one request and return the response with its body unread; the caller must read or close it.

        Args:
            method: HTTP method.
            url: The complete URL.
            headers: Headers in addition to those of the client.
            body: The request body, if any.

        Raises:
            requests.RequestException: There was no response.
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
        # Set directly, without `prepare`: the values are complete, quoted and of the right types already.
        request.method, request.url, request.body = method, url, body
        request.headers = CaseInsensitiveDict(authorized)
        response = adapter.send(request, timeout=TIMEOUT, **self._settings)
        # A resumable upload is continued after a 308 without a Location, which is not a redirect.
        redirected = response.status_code in _REDIRECTS and "Location" in response.headers
        if redirected or response.status_code == 401:
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
    """Set the size of a client's connection pool, and read proxies and certificates from the environment once.

    From then on, `.netrc` is ignored, too; its passwords would replace the credentials.
    """
    session: AuthorizedSession = client._http
    settings = session.merge_environment_settings(client._connection.get_api_base_url_for_mtls(), {}, None, None, None)
    session.proxies, session.verify, session.trust_env = settings["proxies"], settings["verify"], False
    if session.is_mtls:
        return  # its adapter holds the client's certificate
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections))
