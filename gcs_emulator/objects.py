"""Handlers for calls on objects: get, list, patch, delete, rewrite, copy, move, compose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from .downloads import download
from .errors import ApiError
from .listing import list_page, parse_fields
from .payloads import Content
from .preconditions import Preconditions, integer
from .records import patched, writable
from .service import Service, base_url, check_object_name, resource_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from .payloads import PayloadWriter
    from .records import ObjectRecord

MAX_COMPONENTS = 32
"""Maximum number of source objects of a compose (https://cloud.google.com/storage/docs/composite-objects)."""
_COPY_BYTES = 1 << 20


async def list_objects(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET b/{bucket}/o``: return one page, or the parts of it that ``fields`` names."""
    page = list_page(service.store, names["bucket"], request.query_params)
    url = base_url(request)
    top, of_items = parse_fields(request.query_params.get("fields", ""))
    shown: dict[str, Any] = {"kind": "storage#objects"}
    if page.items:
        shown["items"] = [record.resource(url, of_items) for record in page.items]
    if page.prefixes:
        shown["prefixes"] = page.prefixes
    if page.next_token is not None:
        shown["nextPageToken"] = page.next_token
    return JSONResponse({key: value for key, value in shown.items() if top is None or key in top})


def _addressed(service: Service, request: Request, names: dict[str, str], *, read: bool = False) -> ObjectRecord:
    """Return the live object that a call names, after checking its preconditions."""
    query = request.query_params
    return service.store.get(
        names["bucket"], names["object"], integer(query, "generation"), Preconditions.of(query, read=read)
    )


async def get_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET b/{bucket}/o/{object}``: return the resource or, with ``alt=media``, the content."""
    record = _addressed(service, request, names, read=True)
    if request.query_params.get("alt") == "media":
        return download(service.store, record, request)
    return JSONResponse(record.resource(base_url(request)), headers={"ETag": record.etag})


async def get_media(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``GET download/…``: return the content."""
    return download(service.store, _addressed(service, request, names, read=True), request)


async def patch_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``PATCH``, which merges metadata, and ``PUT``, which replaces it; both increment the metageneration."""
    resource = await resource_of(request)
    record = _addressed(service, request, names)
    fields = writable(resource) if request.method == "PUT" else patched(record.fields, resource)
    return JSONResponse(service.store.update(record, fields).resource(base_url(request)))


async def delete_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``DELETE b/{bucket}/o/{object}``."""
    service.store.delete(_addressed(service, request, names))
    return Response(status_code=204)


def _source(service: Service, request: Request, names: dict[str, str]) -> ObjectRecord:
    """Return the object to copy or move, after checking the preconditions on the source."""
    query = request.query_params
    return service.store.get(
        names["bucket"], names["object"], integer(query, "sourceGeneration"), Preconditions.of(query, "ifSource")
    )


async def _copied(service: Service, request: Request, names: dict[str, str]) -> ObjectRecord:
    resource = await resource_of(request)
    check_object_name(names["target"])
    source = _source(service, request, names)
    conditions = Preconditions.of(request.query_params)
    service.store.check(names["target_bucket"], names["target"], conditions)
    content = Content(service.store.payloads.copy(source.payload), source.size, source.crc32c, source.md5 or "")
    # Metadata in the request replaces all of the source's; only an empty resource copies it.
    fields = writable(resource) or source.fields
    return service.store.put(
        names["target_bucket"], names["target"], content, fields, conditions, components=source.components
    )


async def rewrite_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``POST …/rewriteTo/…``: always completes in one call, so the response never has a rewrite token."""
    record = await _copied(service, request, names)
    return JSONResponse(
        {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(record.size),
            "objectSize": str(record.size),
            "done": True,
            "resource": record.resource(base_url(request)),
        }
    )


async def copy_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``POST …/copyTo/…``."""
    return JSONResponse((await _copied(service, request, names)).resource(base_url(request)))


async def move_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``POST …/moveTo/o/…``: rename an object within its bucket, atomically."""
    check_object_name(names["target"])
    source = _source(service, request, names)
    record = service.store.move(source, names["target"], Preconditions.of(request.query_params))
    return JSONResponse(record.resource(base_url(request)))


def _append(service: Service, sources: list[ObjectRecord], writer: PayloadWriter) -> None:
    for source in sources:
        with service.store.open(source) as content:
            while piece := content.read(_COPY_BYTES):
                writer.write(piece)


async def compose_object(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``POST …/compose``: concatenate up to 32 objects; the result has no MD5."""
    resource = await resource_of(request)
    check_object_name(names["object"])
    conditions = Preconditions.of(request.query_params)
    parts = resource.get("sourceObjects", [])
    if not 1 <= len(parts) <= MAX_COMPONENTS:
        raise ApiError(400, f"The number of source components provided ({len(parts)}) is not in 1..{MAX_COMPONENTS}.")
    sources = [
        service.store.get(
            names["bucket"],
            part["name"],
            integer(part, "generation"),
            Preconditions.of(part.get("objectPreconditions", {})),
        )
        for part in parts
    ]
    service.store.check(names["bucket"], names["object"], conditions)
    writer = service.store.writer()
    try:
        await run_in_threadpool(_append, service, sources, writer)
        content = writer.finish()
    except BaseException:
        writer.discard()
        raise
    components = sum(source.components or 1 for source in sources)
    fields = writable(resource.get("destination", {}))
    record = service.store.put(names["bucket"], names["object"], content, fields, conditions, components=components)
    return JSONResponse(record.resource(base_url(request)))
