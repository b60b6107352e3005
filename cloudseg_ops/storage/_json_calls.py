"""Calls whose response is JSON, which is checked before it is used.

A proxy or an overloaded server may answer 200 without a body, with half of one, or with a page of HTML. Such a response
says nothing about the object, so the call is repeated as after a 503.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from cloudseg_ops.storage._calls import response_error, retry

if TYPE_CHECKING:
    from requests import Response

    from cloudseg_ops.storage._transport import Transport

_Parsed = TypeVar("_Parsed")
_SHOWN_BYTES = 200


def call_json(
    transport: Transport,
    method: str,
    path: str,
    query: Mapping[str, int | str | None],
    parse: Callable[[dict[str, Any]], _Parsed],
    *,
    resource: Mapping[str, Any] | None = None,
) -> _Parsed:
    """Call the JSON API, with retries.

    Args:
        transport: Sends the requests.
        method: HTTP method.
        path: Path relative to `/storage/v1/b`, percent-encoded.
        query: Query parameters; None and empty values are left out.
        parse: Reads the response; a missing or invalid field may raise any exception of `parsed`.
        resource: The request's body, if any.
    """
    asked = {key: value for key, value in query.items() if value not in (None, "")}
    url = transport.api_url(path, urlencode({**asked, "prettyPrint": "false"}))
    headers = {**transport.new_call(), "Accept": "application/json"}
    body = None
    if resource is not None:
        headers["Content-Type"], body = "application/json", json.dumps(resource).encode()
    elif method == "POST":
        body = b""

    def attempt() -> _Parsed:
        with transport.send(method, url, headers, body) as response:
            if not 200 <= response.status_code < 300:
                raise response_error(response)
            return parsed(response, parse)

    made: _Parsed = retry()(attempt)()
    return made


def parsed(response: Response, parse: Callable[[dict[str, Any]], _Parsed]) -> _Parsed:
    """Parse the body of a successful response.

    Raises:
        ServiceUnavailable: It is not JSON, or not the expected resource; a retry may get another response.
    """
    from google.api_core.exceptions import ServiceUnavailable

    content = response.content
    try:
        return parse(json.loads(content))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ServiceUnavailable(  # type: ignore[no-untyped-call]
            f"the response with status {response.status_code} is not the expected JSON ({type(error).__name__}: "
            f"{error}): {content[:_SHOWN_BYTES]!r}"
        ) from error
