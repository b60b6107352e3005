"""What is shown of an image, wherever its photograph is now; never another version."""

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout, preview_uri
from cloudseg_ops.gallery.labels import note_on
from cloudseg_ops.gallery.locating import Shape, Shown, locate
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.gallery.runs import (
    archive,
    delete,
    done,
    failed,
    photograph,
    provenance_of,
    put_mask,
    put_photograph,
    quarantine,
)


def show(store: Store, layout: RunLayout, buckets: Buckets, result: Result) -> Shown:
    return locate(store, layout, buckets.input, 3, result)


def put_preview(store: Store, layout: RunLayout, buckets: Buckets, version: InputObject, *, first: bool) -> None:
    uri = preview_uri(layout.previews_folder, 3, version.name, version.generation, first=first)
    store.write(uri, photograph(), metadata=provenance_of(buckets, version).to_metadata())


def test_photograph_in_input_with_its_mask(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    version = put_photograph(store, buckets, "a b/ö.jpg")
    put_mask(store, buckets, version)
    shown = show(store, layout, buckets, done(version))
    assert (shown.shape, note_on(shown)) == (Shape.PAIR, "")
    assert shown.photograph
    assert shown.photograph.bucket == buckets.input


def test_archived_photograph(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    version = put_photograph(store, buckets, "a.jpg")
    put_mask(store, buckets, version)
    archive(store, buckets, version)
    delete(store, buckets, version)
    shown = show(store, layout, buckets, done(version))
    assert shown.shape is Shape.PAIR
    assert shown.photograph
    assert shown.photograph.name == "archive/a.jpg"


def test_quarantined_photograph(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    version = put_photograph(store, buckets, "a.jpg")
    quarantine(store, buckets, version, "too odd")
    delete(store, buckets, version)
    shown = show(store, layout, buckets, failed(version, Outcome.QUARANTINED, "too odd"))
    assert shown.shape is Shape.PHOTOGRAPH
    assert shown.photograph
    assert shown.photograph.name == "quarantine/a.jpg"


def test_deleted_photograph_with_and_without_a_preview(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    for first in (True, False):
        version = put_photograph(store, buckets, f"{first}.jpg")
        put_mask(store, buckets, version)
        put_preview(store, layout, buckets, version, first=first)
        delete(store, buckets, version)
        shown = show(store, layout, buckets, done(version))
        assert shown.shape is Shape.PREVIEW
        assert note_on(shown) == "The photograph was deleted because its mask is proven: this is the engine's preview."
    version = put_photograph(store, buckets, "b.jpg")
    put_mask(store, buckets, version)
    delete(store, buckets, version)
    shown = show(store, layout, buckets, done(version))
    assert shown.shape is Shape.MASK
    assert note_on(shown) == "The photograph was deleted because its mask is proven: this is the mask."


def test_other_versions_are_not_shown(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    old = put_photograph(store, buckets, "a.jpg")
    archive(store, buckets, old)
    put_preview(store, layout, buckets, old, first=True)
    new = put_photograph(store, buckets, "a.jpg")
    put_mask(store, buckets, new)
    shown = show(store, layout, buckets, done(old))
    assert shown.shape is Shape.PAIR or shown.shape is Shape.PHOTOGRAPH
    assert shown.mask is None
    assert shown.photograph
    assert shown.photograph.name == "archive/a.jpg"
    put_mask(store, buckets, old)
    assert show(store, layout, buckets, done(new)).mask is None


def test_newer_upload_is_mentioned(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    old = put_photograph(store, buckets, "a.jpg")
    put_mask(store, buckets, old)
    put_photograph(store, buckets, "a.jpg")
    shown = show(store, layout, buckets, done(old))
    assert shown.shape is Shape.MASK
    assert note_on(shown) == "A newer upload has replaced the photograph: this is the mask."


def test_preview_of_another_image_is_not_shown(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    version, other = put_photograph(store, buckets, "a.jpg"), put_photograph(store, buckets, "b.jpg")
    delete(store, buckets, version)
    uri = preview_uri(layout.previews_folder, 3, version.name, version.generation, first=True)
    store.write(uri, photograph(), metadata=provenance_of(buckets, other).to_metadata())
    assert show(store, layout, buckets, done(version)).shape is Shape.NOTHING


def test_vanished_photograph_shows_nothing(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    version = InputObject("gone.jpg", 7, 1000, "AAAAAA==")
    shown = show(store, layout, buckets, failed(version, Outcome.VANISHED, "it was gone"))
    assert shown.shape is Shape.NOTHING
    assert note_on(shown)


def test_picture_version_changes_with_the_mask(store: Store, layout: RunLayout, buckets: Buckets) -> None:
    version = put_photograph(store, buckets, "a.jpg")
    put_mask(store, buckets, version)
    before = show(store, layout, buckets, done(version)).version
    assert show(store, layout, buckets, done(version)).version == before
    put_mask(store, buckets, version)
    assert show(store, layout, buckets, done(version)).version != before
