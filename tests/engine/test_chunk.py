import re

import numpy as np
import pytest
import torch
from PIL import Image

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, CorruptModelError, ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.provenance import mask_name
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.storage import Store
from gcs_emulator import Fault, FaultPlan
from tests.support.lab import Lab, encoded, noise, picture, run, state_bytes, tiny_unet, unet_params


def no_reads(lab: Lab, faults: FaultPlan) -> None:
    """Make every further read of a photograph fail."""
    faults.add(Fault(status=403, method="GET", path=f"/b/{lab.buckets.input}/o/", times=10_000))


def test_a_chunk_of_every_kind(lab: Lab) -> None:
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
    no_reads(lab, faults)
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


def test_a_newer_version_and_a_removed_one(lab: Lab) -> None:
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


def test_a_straggler_of_an_older_run_leaves_the_newer_mask(lab: Lab) -> None:
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


def test_duplicate_and_unordered_lines(lab: Lab) -> None:
    first, second = lab.put_many(2)
    lab.store.write_lines(lab.options.chunk, [second.to_line(), first.to_line(), "", second.to_line(), first.to_line()])
    assert run(lab).images == 2
    assert [result.source for result in lab.results()] == [second, first]
    assert set(lab.outcomes().values()) == {"done"}


def test_an_empty_chunk(lab: Lab) -> None:
    lab.store.write(lab.options.chunk, b"")
    assert run(lab).complete
    assert lab.results() == []


def test_a_storage_error_for_one_image(lab: Lab, faults: FaultPlan) -> None:
    sources = lab.put_many(6)
    lab.write_chunk(sources)
    faults.add(Fault(status=403, method="GET", path=r"/o/sky/003\.png", times=100))
    with pytest.raises(ChunkUnfinishedError, match=r"1 of 6 images unaccounted .*sky/003\.png: PermissionDenied"):
        run(lab)
    assert set(lab.outcomes()) == {source.name for source in sources} - {"sky/003.png"}
    assert not lab.summary().complete
    assert lab.summary().images == 6
    faults.clear()
    assert run(lab).complete
    assert lab.outcomes()["sky/003.png"] == "done"
    assert lab.outcomes()["sky/000.png"] == "skipped"


def test_an_upload_that_fails(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk(lab.put_many(4))
    faults.add(Fault(status=403, method="POST", path=f"/b/{lab.buckets.output}/o"))
    with pytest.raises(ChunkUnfinishedError, match="1 of 4"):
        run(lab)
    assert run(lab).complete


def test_transient_faults_go_unnoticed(lab: Lab, faults: FaultPlan) -> None:
    lab.write_chunk(lab.put_many(6))
    faults.add(Fault(status=503, method="GET", path=r"/o/sky/00[0-2]", times=2))
    faults.add(Fault(action="cut_after", method="POST", path=f"/b/{lab.buckets.output}/o", times=2))
    assert run(lab).complete
    assert set(lab.outcomes().values()) == {"done"}


def test_a_model_with_another_checksum_segments_nothing(lab: Lab) -> None:
    lab.write_chunk(lab.put_many(2))
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    with pytest.raises(CorruptModelError):
        run(lab)
    assert lab.mask_info("sky/000.png") is None
    assert not lab.summary().complete


def test_a_failure_while_writing_results_does_not_hide_the_first_one(
    lab: Lab, faults: FaultPlan, caplog: pytest.LogCaptureFixture
) -> None:
    lab.write_chunk(lab.put_many(2))
    lab.store.write(GcsUri.parse(lab.ref.uri), b"other weights")
    faults.add(Fault(status=403, method="POST", path=f"/b/{lab.buckets.staging}/o", times=10))
    with pytest.raises(CorruptModelError):
        run(lab)
    assert "results so far could not be written" in caplog.text


def test_a_model_whose_logits_are_nan_writes_no_mask(lab: Lab) -> None:
    network = tiny_unet()
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias.fill_(float("nan"))
    lab.use_model(state_bytes(network), unet_params())
    lab.write_chunk(lab.put_many(3))
    with pytest.raises(ChunkUnfinishedError, match=r"model v1 .* NaN or infinite"):
        run(lab)
    assert lab.mask_info("sky/000.png") is None


def test_a_failed_preview_does_not_fail_the_chunk(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.set(previews=GcsUri("no-such-place", "previews"))
    lab.write_chunk(lab.put_many(2))
    assert run(lab).complete
    assert "no preview of sky/" in caplog.text


def test_an_invalid_chunk_file(lab: Lab) -> None:
    with pytest.raises(ObjectNotFoundError):
        run(lab)
    lab.store.write(lab.options.chunk, b"not a line\n")
    with pytest.raises(ManifestError):
        run(lab)


def test_a_stop_in_the_middle_keeps_what_is_done(lab: Lab) -> None:
    lab.write_chunk(lab.put_many(60))
    stop = Stop()
    seen = lab.store.write

    class Stopping(Store):
        """Requests the stop when the tenth mask is written."""

        count = 0

        def write(self, uri: GcsUri, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            type(self).count += uri.bucket == lab.buckets.output
            if self.count == 10:
                stop.request()
            return seen(uri, *args, **kwargs)  # type: ignore[arg-type]

    with pytest.raises(ChunkUnfinishedError, match="stopped on request"):
        run_chunk(lab.options, Stopping(lab.store._client), stop)
    outcomes = lab.outcomes()
    assert 10 <= len(outcomes) < 60
    assert set(outcomes.values()) == {Outcome.DONE}
    assert not lab.summary().complete
    listed = {re.sub(r"\.mask\.png$", "", info.name) for info in lab.store.list_objects(GcsUri(lab.buckets.output))}
    assert listed == set(outcomes)
    assert run(lab).complete


def test_an_image_that_was_scaled_down_gets_a_mask_of_its_original_size(lab: Lab) -> None:
    lab.use_model(state_bytes(tiny_unet()), unet_params(max_side=64))
    lab.write_chunk([lab.put("large.jpg", picture(500, 300, "JPEG")), lab.put("small.png", picture(60, 40))])
    run(lab)
    assert lab.mask("large.jpg").size == (500, 300)
    assert lab.mask("small.png").size == (60, 40)
    assert len(np.unique(np.asarray(lab.mask("large.jpg")))) == 2


def test_an_image_that_is_computed_in_tiles_gets_the_mask_of_the_whole(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lab.write_chunk([lab.put("large.png", picture(2200, 1800))])
    lab.set(memory=1000 * 2**20)
    run(lab)
    told = re.search(r"at most ([0-9.]+) megapixels in a forward pass", caplog.text)
    assert told
    assert float(told[1]) < 2.2 * 1.8
    network = load_network(lab.ref, lab.store.read(GcsUri.parse(lab.ref.uri)), torch.device("cpu"))
    (whole,) = Predictor(lab.ref, network).predict([DecodedImage(noise(2200, 1800))])
    assert np.array_equal(np.asarray(lab.mask("large.png")), whole.classes)
