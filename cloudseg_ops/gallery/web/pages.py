"""The routes of the gallery's pages and pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from cloudseg_ops.gallery.details import read_details
from cloudseg_ops.gallery.errors import NotShownError
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.locating import locate, locate_all
from cloudseg_ops.gallery.overview import read_overview
from cloudseg_ops.gallery.pictures import SIDES, make_picture
from cloudseg_ops.gallery.rendering import (
    ImagePage,
    render_gallery,
    render_image,
    render_no_picture,
    render_progress,
)
from cloudseg_ops.gallery.results_file import Cursor, read_result
from cloudseg_ops.gallery.searching import Entry, find_images
from cloudseg_ops.gallery.web.access import RunDep, may_see_runs
from cloudseg_ops.gallery.web.buckets import BucketsDep
from cloudseg_ops.gallery.web.responses import page
from cloudseg_ops.report.reading import safe_result

REFRESH_SECONDS = 5
_SEGMENT = "segment"

# The router checks the permission, so that no page can forget to.
router = APIRouter(prefix="/dags/{dag_id}/runs/{run_id}", dependencies=[Depends(may_see_runs)])

Size = Annotated[str, Path(pattern=rf"^({'|'.join(SIDES)})$")]
From = Annotated[str, Query(alias="from", max_length=60)]


def find_entry(
    run: RunDep,
    buckets: BucketsDep,
    chunk: Annotated[int, Path(ge=0, le=99_999)],
    offset: Annotated[int, Path(ge=0, le=10**15)],
    key: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")],
) -> Entry:
    """Look up the image in the address, which must be a line of the run's results, so that no other object is read.

    Args:
        run: The run.
        buckets: The buckets.
        chunk: Index of the chunk.
        offset: Offset of the image's line, in bytes.
        key: The `image_key`.

    Raises:
        GalleryError: The run has no such image at that offset.
    """
    result = read_result(buckets.store, buckets.layout(run.addresses.run_id), chunk, offset, key)
    return Entry(chunk, offset, key, safe_result(result))


EntryDep = Annotated[Entry, Depends(find_entry)]


@router.get("/gallery")
def show_gallery(run: RunDep, buckets: BucketsDep, request: Request, begin: From = "") -> Response:
    """Show a page of images."""
    layout = buckets.layout(run.addresses.run_id)
    wanted, start = Filter.parse(request.query_params), Cursor.parse(begin)
    overview = read_overview(buckets.store, layout)
    found = find_images(buckets.store, overview, wanted, start)
    shown = locate_all(buckets.store, layout, buckets.settings.input_bucket, found.entries)
    return page(render_gallery(run.addresses, overview, ImagePage(wanted, start, found, shown)))


@router.get("/tasks/{task_id}/{map_index}")
def show_task(run: RunDep, task_id: str, map_index: str) -> Response:
    """Show the images of a mapped task's chunk; of any other task, those of the whole run."""
    # Without a map index, Airflow leaves the placeholder in the address.
    chunk = map_index if task_id == _SEGMENT and map_index.isascii() and map_index.isdigit() else ""
    # The target is built from known parts, not from the request's address.
    return RedirectResponse(run.addresses.gallery({"chunk": chunk} if chunk else None), 303)


@router.get("/progress")
def show_progress(run: RunDep, buckets: BucketsDep) -> Response:
    """Show the progress of the run; the page reloads until the run has ended."""
    from cloudseg_ops.runs.progress import read_run_progress

    progress = read_run_progress(buckets.store, buckets.layout(run.addresses.run_id))
    refreshing = not run.ended
    headers = {"Refresh": str(REFRESH_SECONDS)} if refreshing else {}
    return page(render_progress(run.addresses, progress, run.state, refreshing=refreshing), headers=headers)


@router.get("/images/{chunk}/{offset}/{key}")
def show_image(run: RunDep, buckets: BucketsDep, entry: EntryDep) -> Response:
    """Show one image, with the provenance of its mask."""
    layout = buckets.layout(run.addresses.run_id)
    details = read_details(buckets.store, layout, buckets.settings.input_bucket, entry.chunk, entry.result)
    return page(render_image(run.addresses, entry, details))


@router.get("/images/{chunk}/{offset}/{key}/{size}")
def show_picture(run: RunDep, buckets: BucketsDep, entry: EntryDep, size: Size, request: Request) -> Response:
    """Return the picture of one image, or 304 if the browser has it already."""
    layout = buckets.layout(run.addresses.run_id)
    shown = locate(buckets.store, layout, buckets.settings.input_bucket, entry.chunk, entry.result)
    tag = f'"{shown.version}-{size}"'
    if tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    try:
        picture = make_picture(buckets.store, shown, SIDES[size])
    except NotShownError as error:
        # Browsers show the body whatever the status, which is better than a broken image.
        return Response(render_no_picture(str(error)), 422, media_type="image/svg+xml", headers={"ETag": tag})
    return Response(picture.data, media_type=picture.content_type, headers={"ETag": tag})
