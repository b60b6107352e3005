"""The emulator's error responses, in the format of Google's JSON API."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

_REASONS = {
    304: "notModified",
    400: "invalid",
    404: "notFound",
    408: "requestTimeout",
    409: "conflict",
    410: "gone",
    412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    500: "internalError",
    501: "notImplemented",
    502: "badGateway",
    503: "backendError",
    504: "gatewayTimeout",
}


class ApiError(Exception):
    """An answer other than success.

    Attributes:
        status: the HTTP status code.
        message: what went wrong, for people.
        headers: extra headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the JSON body, as in https://cloud.google.com/storage/docs/json_api/v1/status-codes."""
        reason = _REASONS.get(self.status, "unknown")
        item = {"message": self.message, "domain": "global", "reason": reason}
        if self.status == 412:
            item |= {"locationType": "header", "location": "If-Match"}
        return {"error": {"code": self.status, "message": self.message, "errors": [item]}}

    def response(self) -> Response:
        """Return the whole answer. A 304 has no body."""
        if self.status == 304:
            return Response(status_code=304, headers=self.headers)
        return JSONResponse(self.body(), status_code=self.status, headers=self.headers)


class EmulatorStartError(RuntimeError):
    """The emulator cannot start: its port is taken, or its directory belongs to another process."""


def no_such_object(bucket: str, name: str) -> ApiError:
    """Return the 404 for an object, or for a generation of it that is not live."""
    return ApiError(404, f"No such object: {bucket}/{name}")


def no_such_bucket(bucket: str) -> ApiError:
    """Return the 404 for a bucket."""
    return ApiError(404, f"The specified bucket does not exist: {bucket}")
