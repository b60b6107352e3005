from dataclasses import replace

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import audit_run
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.support.samples import (
    OTHER_DIGEST,
    put_copy,
    put_input,
    put_inputs,
    put_mask,
    put_masks,
    put_snapshot,
    source_of,
    version,
)


def test_every_version_is_counted_in_its_place(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    names = ["input.jpg", "masked.jpg", "other-model.jpg", "quarantined.jpg", "replaced.jpg", "replaced-and-masked.jpg",
             "lost.jpg", "lost-with-an-older-mask.jpg"]  # fmt: skip
    versions = {item.name: item for item in put_inputs(store, buckets.input, names)}
    sources = {name: source_of(item, buckets.input) for name, item in versions.items()}
    put_mask(store, buckets.output, sources["masked.jpg"])
    put_mask(store, buckets.output, sources["other-model.jpg"], digest=OTHER_DIGEST)
    put_copy(store, buckets.output, sources["quarantined.jpg"])
    older = replace(sources["lost-with-an-older-mask.jpg"], generation=1)
    put_mask(store, buckets.output, older)
    kept = {"input.jpg", "replaced.jpg", "replaced-and-masked.jpg"}
    store.delete_many(buckets.input, [(name, versions[name].generation) for name in names if name not in kept])
    put_input(store, buckets.input, "replaced.jpg", b"newer")
    newer = put_input(store, buckets.input, "replaced-and-masked.jpg", b"newer")
    put_mask(store, buckets.output, source_of(newer, buckets.input))
    store.delete_many(buckets.input, [(newer.name, newer.generation)])
    put_snapshot(store, layout, versions.values())

    audit = audit_run(store, layout, buckets.input)
    assert audit.objects == 8
    assert audit.places == {"input": 1, "masked": 2, "quarantined": 1, "superseded": 2, "lost": 2}
    assert sorted(audit.lost) == [
        f"{name}#{versions[name].generation}" for name in ("lost-with-an-older-mask.jpg", "lost.jpg")
    ]
    assert not audit.holds


def test_audit_only_reads(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_snapshot(store, layout, put_inputs(store, buckets.input, ["a.jpg", "b.jpg"]))

    def state() -> list[tuple[str, int]]:
        places = (buckets.input, buckets.output, buckets.staging)
        return [(info.name, info.generation) for place in places for info in store.list_objects(GcsUri(place))]

    before = state()
    assert audit_run(store, layout, buckets.input).holds
    assert state() == before


def test_loss_on_the_last_page_is_found(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    versions = put_inputs(store, buckets.input, [f"{number:04d}.jpg" for number in range(1200)])
    put_snapshot(store, layout, versions)
    assert audit_run(store, layout, buckets.input).places["input"] == 1200
    put_masks(store, buckets.output, [source_of(item, buckets.input) for item in versions[::4]])
    store.delete_many(buckets.input, [(item.name, item.generation) for item in versions[::4]])
    assert audit_run(store, layout, buckets.input).holds
    store.delete_many(buckets.input, [(versions[-1].name, versions[-1].generation)])
    audit = audit_run(store, layout, buckets.input)
    assert audit.places == {"input": 899, "masked": 300, "quarantined": 0, "superseded": 0, "lost": 1}
    assert audit.lost == (f"1199.jpg#{versions[-1].generation}",)
    assert not audit.holds


def test_all_lost_versions_are_counted_and_the_first_named(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_snapshot(store, layout, [version(f"{number:03d}.jpg") for number in range(50)])
    audit = audit_run(store, layout, buckets.input)
    assert audit.places["lost"] == 50
    assert audit.lost == tuple(f"{number:03d}.jpg#7" for number in range(20))


def test_a_run_without_inputs_holds(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_snapshot(store, layout, [])
    audit = audit_run(store, layout, buckets.input)
    assert (audit.objects, audit.lost, audit.holds) == (0, (), True)


def test_run_without_a_snapshot_raises(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"runs/test-run/snapshot\.jsonl: there is no such object"):
        audit_run(store, layout, buckets.input)


def test_damaged_snapshot_raises(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    item = put_input(store, buckets.input, "a.jpg")
    store.write(layout.snapshot, f"{item.to_line()}\n{item.to_line()[:20]}".encode())
    with pytest.raises(ManifestError):
        audit_run(store, layout, buckets.input)


def test_missing_bucket_raises_instead_of_reporting_losses(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_snapshot(store, layout, [version()])
    with pytest.raises(BucketNotFoundError):
        audit_run(store, layout, "nowhere-1")
