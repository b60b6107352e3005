"""Handlers for the three kinds of upload: media, multipart and resumable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from .errors import ApiError
from .multipart import related_parts
from .preconditions import Preconditions
from .records import writable
from .service import Service, base_url, check_object_name, parse_resource, resource_of
from .sessions import QUANTUM, ContentRange, Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from .payloads import Content, PayloadWriter
    from .records import ObjectRecord

_INLINE_BYTES = 1 << 20
"""Bodies up to this size are written on the event loop, larger ones in a thread."""


def _header_checksums(header: str | None) -> dict[str, str]:
    """Return the checksums in an ``X-Goog-Hash`` header, keyed by the field names of the resource."""
    pairs = (item.strip().partition("=") for item in (header or "").split(","))
    names = {"crc32c": "crc32c", "md5": "md5Hash"}
    return {names[kind]: value for kind, _, value in pairs if kind in names}


def _verify(content: Content, *expectations: Mapping[str, Any]) -> None:
    actual = {"crc32c": content.crc32c, "md5Hash": content.md5}
    for expectation in expectations:
        for key, value in actual.items():
            if expectation.get(key) not in {None, value}:
                raise ApiError(
                    400, f"Provided {key} hash {expectation[key]!r} doesn't match calculated hash {value!r}."
                )


def _fields(resource: dict[str, Any], content_type: str | None) -> dict[str, Any]:
    fields = writable(resource)
    if content_type and "contentType" not in fields:
        fields["contentType"] = content_type
    return fields


def _named(resource: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return the resource with its name, which may come from the query instead."""
    name = resource.get("name") or request.query_params.get("name", "")
    check_object_name(name)
    return {**resource, "name": name}


class _Target(Protocol):
    """The object that an upload creates; implemented by `Session` and `_Plan`."""

    @property
    def bucket(self) -> str: ...

    @property
    def resource(self) -> dict[str, Any]: ...

    @property
    def conditions(self) -> Preconditions: ...


@dataclass(frozen=True)
class _Plan:
    """The target of a single-request upload."""

    bucket: str
    resource: dict[str, Any]
    conditions: Preconditions


def _commit(
    service: Service,
    target: _Target,
    writer: PayloadWriter,
    *,
    expected: dict[str, str] | None = None,
    content_type: str | None = None,
) -> ObjectRecord:
    """Make a payload the live generation; does not await, so that check and change are atomic."""
    content = writer.finish()
    try:
        _verify(content, target.resource, expected or {})
    except ApiError:
        writer.discard()
        raise
    fields = _fields(target.resource, content_type)
    return service.store.put(target.bucket, target.resource["name"], content, fields, target.conditions)


async def insert(service: Service, request: Request, names: dict[str, str]) -> Response:
    """Handle ``POST upload/…/o`` according to ``uploadType``; with an ``upload_id``, handle a chunk."""
    if "upload_id" in request.query_params:
        return await chunk(service, request, names)
    service.store.bucket(names["bucket"])
    kind = request.query_params.get("uploadType")
    if kind == "media":
        return await _insert_media(service, request, names["bucket"])
    if kind == "multipart":
        return await _insert_multipart(service, request, names["bucket"])
    if kind == "resumable":
        return await _start(service, request, names["bucket"])
    raise ApiError(400, f"Invalid uploadType: {kind!r}, expected media, multipart or resumable.")


def _plan(service: Service, request: Request, bucket: str, resource: dict[str, Any]) -> _Plan:
    """Check the name and the preconditions before reading the first byte."""
    plan = _Plan(bucket, _named(resource, request), Preconditions.of(request.query_params))
    service.store.check(bucket, plan.resource["name"], plan.conditions)
    return plan


async def _insert_media(service: Service, request: Request, bucket: str) -> Response:
    plan = _plan(service, request, bucket, {})
    writer = service.store.writer()
    try:
        async for piece in request.stream():
            writer.write(piece)
    except BaseException:
        writer.discard()
        raise
    expected = _header_checksums(request.headers.get("x-goog-hash"))
    if "content-md5" in request.headers:
        expected["md5Hash"] = request.headers["content-md5"]
    content_type = request.headers.get("content-type")
    record = _commit(service, plan, writer, expected=expected, content_type=content_type)
    return JSONResponse(record.resource(base_url(request)))


async def _insert_multipart(service: Service, request: Request, bucket: str) -> Response:
    metadata, content_type, media = related_parts(await request.body(), request.headers.get("content-type", ""))
    plan = _plan(service, request, bucket, parse_resource(metadata))
    writer = service.store.writer()
    try:
        if len(media) <= _INLINE_BYTES:
            writer.write(media)
        else:
            await run_in_threadpool(writer.write, media)
    except BaseException:
        writer.discard()
        raise
    expected = _header_checksums(request.headers.get("x-goog-hash"))
    record = _commit(service, plan, writer, expected=expected, content_type=content_type)
    return JSONResponse(record.resource(base_url(request)))


async def _start(service: Service, request: Request, bucket: str) -> Response:
    resource = await resource_of(request)
    content_type = request.headers.get("x-upload-content-type")
    if content_type and "contentType" not in resource:
        resource["contentType"] = content_type
    plan = _plan(service, request, bucket, resource)
    length = request.headers.get("x-upload-content-length", "")
    upload_id = service.sessions.start(
        bucket, plan.resource, plan.conditions, int(length) if length.isdigit() else None
    )
    location = f"{base_url(request)}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
    return Response(headers={"Location": location, "X-GUploader-UploadID": upload_id})


def _progress(session: Session) -> Response:
    headers = {"Range": f"bytes=0-{session.writer.size - 1}"} if session.writer.size else {}
    return Response(status_code=308, headers=headers)


async def _receive(session: Session, request: Request, span: ContentRange) -> None:
    """Append the part of a chunk beyond what is already stored; keep what arrived if the client disconnects."""
    if span.first is None:
        return
    if span.first > session.writer.size:
        raise ApiError(400, f"Invalid request. According to the Content-Range header, the upload offset is "
                            f"{span.first} byte(s), which exceeds already uploaded size of "
                            f"{session.writer.size} byte(s).")  # fmt: skip
    limit = None
    if span.total is None and span.last is not None:
        limit = (span.last + 1) // QUANTUM * QUANTUM
        if limit <= session.writer.size <= span.last:
            raise ApiError(400, f"Invalid request. The number of bytes uploaded is required to be equal or greater "
                                f"than {QUANTUM}, except for the final request.")  # fmt: skip
    position = span.first
    async for piece in request.stream():
        fresh = memoryview(piece)[max(0, session.writer.size - position) :]
        position += len(piece)
        if limit is not None:
            fresh = fresh[: max(0, limit - session.writer.size)]
        session.writer.write(fresh)


async def chunk(service: Service, request: Request, _: dict[str, str]) -> Response:
    """Handle ``PUT`` or ``POST`` to a session: a chunk, a status query, or the end of the upload."""
    upload_id = request.query_params.get("upload_id", "")
    session = service.sessions.get(upload_id)
    length = request.headers.get("content-length", "")
    span = ContentRange.of(request.headers.get("content-range"), int(length) if length.isdigit() else None)
    async with session.lock:
        if session.done is not None:
            return JSONResponse(session.done.resource(base_url(request)))
        try:
            await _receive(session, request, span)
        except ClientDisconnect:
            return Response(status_code=499)
        size = session.writer.size
        total = span.total
        if total is None and request.headers.get("content-range") is None:
            total = size
        if total is None or size < total:
            return _progress(session)
        if size > total or session.announced not in {None, total}:
            raise ApiError(
                400,
                f"Invalid request. {size} byte(s) were uploaded, but the Content-Range total is {total} and "
                f"{session.announced} byte(s) were announced.",
            )
        try:
            record = _commit(
                service, session, session.writer, expected=_header_checksums(request.headers.get("x-goog-hash"))
            )
        except ApiError:
            service.sessions.drop(upload_id, payload=False)
            raise
        service.sessions.finish(upload_id, record)
    return JSONResponse(record.resource(base_url(request)))


async def cancel(service: Service, request: Request, _: dict[str, str]) -> Response:
    """Handle ``DELETE`` of a session; 499 means that the session has been cancelled."""
    upload_id = request.query_params.get("upload_id", "")
    service.sessions.get(upload_id)
    service.sessions.drop(upload_id)
    return Response(status_code=499)
