"""Chunks that fail in a way that no retry can fix."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, ModelLoadError, NonFiniteLogitsError
from gcs_emulator import Fault, FaultPlan
from tests.support.lab import Lab, encoded, overflowing_unet, run, state_bytes, unet_params
from tests.support.programs import Brightness, exported, exported_params


class Contrast(nn.Module):
    """A network that divides by the brightness of the image, and so by zero for a black one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1, keepdim=True) / images.mean(dim=(1, 2, 3), keepdim=True) - 1.0


@functools.cache
def contrast() -> bytes:
    return exported(Contrast(), multiple=8)


def grey(value: int) -> bytes:
    return encoded(Image.fromarray(np.full((8, 8, 3), value, np.uint8)), "PNG")


def test_a_model_whose_logits_are_never_finite(lab: Lab) -> None:
    lab.use_model(state_bytes(overflowing_unet()), unet_params())
    lab.write_chunk(lab.put_many(3))
    told = (
        r"ended with 3 of 3 images unaccounted for, of which 3 failed in a way that a retry cannot fix; no other "
        r"succeeded, so the model is probably the cause. The first is sky/00\d.png: model v1 .* computed in float32"
    )
    with pytest.raises(NonFiniteLogitsError, match=told):
        run(lab)
    assert lab.mask_info("sky/000.png") is None


def test_one_image_whose_logits_are_not_finite(lab: Lab) -> None:
    lab.use_model(contrast(), exported_params(8))
    black = lab.put("black.png", grey(0))
    lab.write_chunk([lab.put("a.png", grey(80)), black, lab.put("b.png", grey(90))])
    told = r"1 of 3 images unaccounted .* 2 others succeeded. The first is black.png: .* stay in the input bucket"
    with pytest.raises(NonFiniteLogitsError, match=told):
        run(lab)
    assert lab.outcomes() == {"a.png": "done", "b.png": "done"}
    # The next try has only this image.
    with pytest.raises(NonFiniteLogitsError, match=r"1 of 3 images unaccounted .* 2 others succeeded.*black\.png"):
        run(lab)


def test_with_another_kind_of_failure_a_retry_may_help(lab: Lab, faults: FaultPlan) -> None:
    lab.use_model(contrast(), exported_params(8))
    lab.write_chunk([lab.put("black.png", grey(0)), lab.put("denied.png", grey(80))])
    faults.add(Fault(status=501, method="GET", path=r"/o/denied\.png", times=100))
    with pytest.raises(ChunkUnfinishedError, match="run the chunk again"):
        run(lab)


def test_a_program_whose_logits_have_another_shape(lab: Lab) -> None:
    lab.use_model(exported(Brightness()), exported_params(n_classes=2))
    lab.write_chunk(lab.put_many(2))
    with pytest.raises(
        ModelLoadError, match=r"2 of 2 images .* a retry cannot fix.* correct n_classes or size_multiple"
    ):
        run(lab)


def test_many_images_in_a_row_end_the_chunk(lab: Lab) -> None:
    lab.use_model(contrast(), exported_params(8))
    data = grey(0)
    lab.write_chunk([lab.put(f"{index}.png", data) for index in range(60)])
    with pytest.raises(NonFiniteLogitsError, match="gave up with 60 of 60 images unaccounted for"):
        run(lab)
