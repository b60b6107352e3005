"""The emulator's errors, and their representation in the JSON API."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

_REASONS = {
    304: "notModified",
    400: "invalid",
    403: "forbidden",
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
    """An error response.

    Attributes:
        status: the HTTP status code.
        message: a human-readable description.
        headers: extra response headers.
        reason: the machine-readable reason; by default, that of the status.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.reason = reason or _REASONS.get(status, "unknown")

    def body(self) -> dict[str, Any]:
        """Return the JSON body, as in https://cloud.google.com/storage/docs/json_api/v1/status-codes."""
        item = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.status == 412:
            item |= {"locationType": "header", "location": "If-Match"}
        return {"error": {"code": self.status, "message": self.message, "errors": [item]}}

    def response(self) -> Response:
        """Return the HTTP response; a 304 has no body."""
        if self.status == 304:
            return Response(status_code=304, headers=self.headers)
        return JSONResponse(self.body(), status_code=self.status, headers=self.headers)


class EmulatorStartError(RuntimeError):
    """The emulator cannot start: its port is taken, or another process uses its directory."""


def no_such_object(bucket: str, name: str) -> ApiError:
    """Return the 404 for a missing object, or for a generation that is not live."""
    return ApiError(404, f"No such object: {bucket}/{name}")


def no_such_bucket(bucket: str) -> ApiError:
    """Return the 404 for a missing bucket."""
    return ApiError(404, f"The specified bucket does not exist: {bucket}")
