"""Maps methods and paths to handlers.

Paths are matched before decoding: object names may contain ``/`` (as ``%2F``), and only the encoded form distinguishes
``b/x/o/a%2Fcompose`` (an object) from ``b/x/o/a/compose`` (a call).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from . import buckets, control, objects, pages, uploads
from .addresses import PAGES
from .errors import ApiError

if TYPE_CHECKING:
    from .service import Handler

_API = "/storage/v1"
_BUCKET = "/b/{bucket}"
_OBJECT = _BUCKET + "/o/{object}"
_TARGET = "/b/{target_bucket}/o/{target}"


class Route(NamedTuple):
    """A kind of call: its name in the counters, method, path and handler."""

    call: str
    method: str
    path: str
    handler: Handler


ROUTES = (
    Route("buckets.list", "GET", _API + "/b", buckets.list_buckets),
    Route("buckets.insert", "POST", _API + "/b", buckets.insert_bucket),
    Route("buckets.get", "GET", _API + _BUCKET, buckets.get_bucket),
    Route("buckets.patch", "PATCH", _API + _BUCKET, buckets.patch_bucket),
    Route("buckets.update", "PUT", _API + _BUCKET, buckets.patch_bucket),
    Route("buckets.delete", "DELETE", _API + _BUCKET, buckets.delete_bucket),
    Route("objects.list", "GET", _API + _BUCKET + "/o", objects.list_objects),
    Route("objects.get", "GET", _API + _OBJECT, objects.get_object),
    Route("objects.patch", "PATCH", _API + _OBJECT, objects.patch_object),
    Route("objects.update", "PUT", _API + _OBJECT, objects.patch_object),
    Route("objects.delete", "DELETE", _API + _OBJECT, objects.delete_object),
    Route("objects.compose", "POST", _API + _OBJECT + "/compose", objects.compose_object),
    Route("objects.rewrite", "POST", _API + _OBJECT + "/rewriteTo" + _TARGET, objects.rewrite_object),
    Route("objects.copy", "POST", _API + _OBJECT + "/copyTo" + _TARGET, objects.copy_object),
    Route("objects.move", "POST", _API + _OBJECT + "/moveTo/o/{target}", objects.move_object),
    Route("objects.download", "GET", "/download" + _API + _OBJECT, objects.get_media),
    Route("objects.insert", "POST", "/upload" + _API + _BUCKET + "/o", uploads.insert),
    Route("uploads.chunk", "PUT", "/upload" + _API + _BUCKET + "/o", uploads.chunk),
    Route("uploads.cancel", "DELETE", "/upload" + _API + _BUCKET + "/o", uploads.cancel),
    Route("emulator.health", "GET", "/_emulator/health", control.health),
    Route("emulator.requests", "GET", "/_emulator/requests", control.requests),
    Route("emulator.faults", "GET", "/_emulator/faults", control.get_faults),
    Route("emulator.faults", "POST", "/_emulator/faults", control.add_faults),
    Route("emulator.faults", "DELETE", "/_emulator/faults", control.clear_faults),
    Route("emulator.browse", "GET", PAGES, pages.buckets_page),
    Route("emulator.browse", "GET", PAGES + "/{bucket}", pages.folder_page),
    Route("emulator.browse", "GET", PAGES + "/{bucket}/{object}", pages.object_page),
    Route("emulator.browse", "GET", PAGES + "/{bucket}/{object}/content", pages.content),
)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


_PATTERNS = [(route, _pattern(route.path)) for route in ROUTES]


def find(method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a call, and the decoded names in its path.

    Raises:
        ApiError: 501 if the emulator does not support the call, 400 if a name is not UTF-8.
    """
    for route, pattern in _PATTERNS:
        if route.method == method and (match := pattern.fullmatch(raw_path)):
            try:
                return route, {key: unquote(value, errors="strict") for key, value in match.groupdict().items()}
            except UnicodeDecodeError as error:
                raise ApiError(400, f"Names must be UTF-8, and {raw_path} is not ({error}).") from error
    raise ApiError(501, f"The emulator does not support this call: {method} {raw_path}")
