"""Handlers for calls on buckets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from .errors import ApiError
from .preconditions import Preconditions
from .service import Service, base_url, resource_of

if TYPE_CHECKING:
    from starlette.requests import Request

_SERVER_FIELDS = {"kind", "id", "name", "selfLink", "projectNumber", "metageneration", "etag", "timeCreated", "updated"}
"""Fields set by the server."""


def _settable(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in _SERVER_FIELDS and value is not None}


async def list_buckets(service: Service, request: Request, _: dict[str, str]) -> Response:
    """Handle ``GET b``: list all buckets, or those with a prefix, on one page."""
    prefix = request.query_params.get("prefix", "")
    items = [bucket.resource(base_url(request)) for bucket in service.store.buckets() if bucket.name.startswith(prefix)]
    return JSONResponse({"kind": "storage#buckets", "items": items})


async def insert_bucket(service: Service, request: Request, _: dict[str, str]) -> Response:
    """Handle ``POST b``: 409 if the name is taken, 400 if it is invalid (docs/buckets#naming)."""
    resource = await resource_of(request)
    name = resource.get("name", "")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name):
        raise ApiError(400, f"Invalid bucket name: {name!r}.")
    return JSONResponse(service.store.insert_bucket(name, _settable(resource)).resource(base_url(request)))


async def get_bucket(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET b/{bucket}``."""
    bucket = service.store.bucket(names["bucket"])
    Preconditions.of(request.query_params, read=True).check(0, bucket)
    return JSONResponse(bucket.resource(base_url(request)))


async def patch_bucket(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``PATCH b/{bucket}``, which merges, and ``PUT``, which replaces; fields are stored without effect."""
    resource = await resource_of(request)
    old = {} if request.method == "PUT" else service.store.bucket(names["bucket"]).fields
    gone = {key for key, value in resource.items() if value is None}
    kept = {key: value for key, value in old.items() if key not in gone}
    if isinstance(resource.get("labels"), dict):
        labels = {**kept.get("labels", {}), **resource["labels"]}
        resource["labels"] = {key: value for key, value in labels.items() if value is not None}
    updated = service.store.update_bucket(
        names["bucket"], {**kept, **_settable(resource)}, Preconditions.of(request.query_params)
    )
    return JSONResponse(updated.resource(base_url(request)))


async def delete_bucket(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``DELETE b/{bucket}``: 409 if the bucket is not empty."""
    service.store.delete_bucket(names["bucket"], Preconditions.of(request.query_params))
    return Response(status_code=204)
