"""A chunk in the emulator's buckets: outcomes of its inputs, and repeated runs."""

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.provenance import mask_name
from cloudseg_ops.contracts.uris import GcsUri
from gcs_emulator import Fault, FaultPlan
from tests.support.lab import Lab, encoded, noise, picture, run, unet_params


def forbid_reads(lab: Lab, faults: FaultPlan) -> None:
    """Make every further read of a photograph fail."""
    faults.add(Fault(status=403, method="GET", path=f"/b/{lab.buckets.input}/o/", times=10_000))


def test_chunk_with_valid_and_broken_images_completes(lab: Lab) -> None:
    sources = [
        lab.put("b/jpeg.jpg", picture(41, 33, "JPEG")),
        lab.put("a/grey 16 bit.png", encoded(Image.fromarray(noise(30, 20, 1).astype(np.uint16) * 257), "PNG")),
        lab.put("a/ünïcode #1?.webp", picture(50, 20, "WEBP")),
        lab.put("one pixel.bmp", picture(1, 1, "BMP")),
        lab.put("broken.jpg", picture(60, 60, "JPEG")[:900]),
        lab.put("empty.tif", b""),
        lab.put("text.png", b"hello"),
    ]
    lab.write_chunk(sources)
    summary = run(lab)
    assert summary.complete
    assert summary.images == 7
    assert lab.summary().complete
    results = lab.results()
    assert [result.source for result in results] == sources
    assert [str(result.outcome) for result in results] == ["done"] * 4 + ["quarantined"] * 3
    for result, size in zip(results[:4], [(41, 33), (30, 20), (50, 20), (1, 1)], strict=True):
        mask = lab.mask(result.source.name)
        assert (mask.mode, mask.size) == ("P", size)
        provenance = lab.provenance(result.source.name)
        assert provenance.source.generation == result.source.generation
        assert (provenance.model_digest, provenance.run_id) == (lab.ref.digest, "run-1")
        share = (np.asarray(mask) == 1).mean()
        assert result.cloud_fraction == provenance.cloud_fraction == pytest.approx(share, abs=1e-6)
        assert result.mask == mask_name(result.source.name)
        assert result.seconds > 0
    assert [result.reason for result in results[4:]] == [
        results[4].reason,
        "the file is empty (zero bytes)",
        "not a photograph but text: upload the photograph itself",
    ]
    assert results[4].reason
    assert "truncated" in results[4].reason


def test_the_second_run_reads_no_photograph(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk([*lab.put_many(5), lab.put("bad.png", b"bad")])
    run(lab)
    first = lab.results()
    forbid_reads(lab, faults)
    assert run(lab).complete
    second = lab.results()
    assert [str(result.outcome) for result in second] == ["skipped"] * 5 + ["quarantined"]
    assert [result.cloud_fraction for result in second] == [result.cloud_fraction for result in first]
    assert second[-1].reason == first[-1].reason


def test_images_are_segmented_again_by_another_model(lab: Lab) -> None:
    lab.write_chunk([*lab.put_many(2), lab.put("bad.png", b"bad")])
    run(lab)
    # The same weights with other parameters are another model.
    weights = lab.store.read(GcsUri.parse(lab.ref.uri))
    lab.use_model(weights, unet_params(normalize={"mean": (0.5,) * 3, "std": (0.5,) * 3}))
    run(lab)
    assert lab.outcomes() == {"sky/000.png": "done", "sky/001.png": "done", "bad.png": "quarantined"}
    assert lab.provenance("sky/000.png").model_digest == lab.ref.digest


def test_changed_and_deleted_inputs_get_no_mask(lab: Lab) -> None:
    changed, vanished, fine = lab.put_many(3)
    lab.write_chunk([changed, vanished, fine])
    newer = lab.put(changed.name, picture(8, 8))
    lab.store.delete_many(lab.buckets.input, [(vanished.name, vanished.generation)])
    assert run(lab).complete
    assert list(lab.outcomes().values()) == ["changed", "vanished", "done"]
    assert str(newer.generation) in (lab.results()[0].reason or "")
    assert lab.mask_info(changed.name) is None
    # The next run processes the newer version.
    lab.write_chunk([newer])
    run(lab)
    assert lab.provenance(changed.name).source.generation == newer.generation


def test_older_run_keeps_the_mask_of_a_newer_version(lab: Lab) -> None:
    old = lab.put("sky.png", picture(8, 8))
    lab.write_chunk([lab.put("sky.png", picture(12, 8))])
    run(lab)
    lab.write_chunk([old])
    run(lab)
    assert lab.outcomes() == {"sky.png": "changed"}
    assert lab.mask("sky.png").size == (12, 8)


def test_a_new_version_replaces_the_mask_of_the_old_one(lab: Lab) -> None:
    lab.write_chunk([lab.put("sky.png", picture(8, 8))])
    run(lab)
    lab.write_chunk([lab.put("sky.png", picture(12, 8))])
    run(lab)
    assert lab.outcomes() == {"sky.png": "done"}
    assert lab.mask("sky.png").size == (12, 8)


def test_duplicate_lines_are_segmented_once_in_chunk_order(lab: Lab) -> None:
    first, second = lab.put_many(2)
    lab.store.write_lines(lab.options.chunk, [second.to_line(), first.to_line(), "", second.to_line(), first.to_line()])
    assert run(lab).images == 2
    assert [result.source for result in lab.results()] == [second, first]
    assert set(lab.outcomes().values()) == {"done"}


def test_empty_chunk_completes(lab: Lab) -> None:
    lab.store.write(lab.options.chunk, b"")
    assert run(lab).complete
    assert lab.results() == []
