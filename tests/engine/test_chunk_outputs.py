"""A chunk's masks, of several classes and sizes, and its previews."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from cloudseg_ops.contracts.provenance import MaskProvenance
from cloudseg_ops.contracts.run_layout import preview_uri
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import DecodedImage, decode
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from tests.support.lab import Lab, noise, picture, run, state_bytes, tiny_unet, unet_params


def test_batched_masks_equal_those_of_single_images(lab: Lab) -> None:
    sources = lab.put_many(9)
    lab.write_chunk(sources)
    run(lab)
    weights = lab.store.read(GcsUri.parse(lab.ref.uri))
    alone = Predictor(lab.ref, load_network(lab.ref, weights, torch.device("cpu")))
    for source in sources:
        image = decode(lab.store.read(GcsUri(lab.buckets.input, source.name)), 3, 10_000)
        assert np.array_equal(np.asarray(lab.mask(source.name)), alone.predict([image])[0].classes)


def test_mask_of_a_model_with_several_classes_has_their_indices(lab: Lab) -> None:
    lab.use_model(state_bytes(tiny_unet(5)), unet_params(5))
    lab.write_chunk(lab.put_many(2))
    run(lab)
    assert len(np.unique(np.asarray(lab.mask("sky/000.png")))) > 1


def test_first_masks_get_previews(lab: Lab) -> None:
    lab.set(previews=GcsUri(lab.buckets.staging, "previews"), preview_count=2)
    lab.write_chunk([*lab.put_many(4), lab.put("bad.png", b"bad")])
    run(lab)
    previews = list(lab.store.list_objects(GcsUri(lab.buckets.staging, "previews/")))
    assert len(previews) == 2
    provenance = MaskProvenance.from_metadata(previews[0].metadata)
    assert provenance
    assert provenance.source.name.startswith("sky/")
    image = Image.open(io.BytesIO(lab.store.read(GcsUri(previews[0].bucket, previews[0].name))))
    assert (image.format, image.height) == ("JPEG", 30)


def test_all_masks_get_previews(lab: Lab) -> None:
    lab.set(previews=GcsUri(lab.buckets.staging, "previews"), preview_count=2, preview_all=True, chunk_index=7)
    versions = lab.put_many(50)
    lab.write_chunk([*versions, lab.put("bad.png", b"bad")])
    run(lab)
    folder = GcsUri(lab.buckets.staging, "previews")
    previews = {info.name: info for info in lab.store.list_objects(GcsUri(folder.bucket, "previews/"))}
    assert len(previews) == 50
    assert sum("/more/" not in name for name in previews) == 2
    for version in versions:
        names = [preview_uri(folder, 7, version.name, version.generation, first=first).name for first in (True, False)]
        (name,) = [name for name in names if name in previews]
        provenance = MaskProvenance.from_metadata(previews[name].metadata)
        assert provenance
        assert (provenance.source.name, provenance.source.generation) == (version.name, version.generation)


def test_an_image_that_was_scaled_down_gets_a_mask_of_its_original_size(lab: Lab) -> None:
    lab.use_model(state_bytes(tiny_unet()), unet_params(max_side=64))
    lab.write_chunk([lab.put("large.jpg", picture(500, 300, "JPEG")), lab.put("small.png", picture(60, 40))])
    run(lab)
    assert lab.mask("large.jpg").size == (500, 300)
    assert lab.mask("small.png").size == (60, 40)
    assert len(np.unique(np.asarray(lab.mask("large.jpg")))) == 2


@pytest.mark.slow
def test_image_segmented_in_tiles_gets_the_same_mask(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lab.write_chunk([lab.put("large.png", picture(2200, 1800))])
    lab.set(memory=1000 * 2**20)
    run(lab)
    match = re.search(r"at most ([0-9.]+) megapixels in a forward pass", caplog.text)
    assert match
    assert float(match[1]) < 2.2 * 1.8
    network = load_network(lab.ref, lab.store.read(GcsUri.parse(lab.ref.uri)), torch.device("cpu"))
    (whole,) = Predictor(lab.ref, network).predict([DecodedImage(noise(2200, 1800))])
    assert np.array_equal(np.asarray(lab.mask("large.png")), whole.classes)
