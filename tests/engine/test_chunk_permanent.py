"""Chunks that fail in a way that no retry can fix."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, ModelLoadError, NonFiniteLogitsError, ObjectHeldError
from gcs_emulator import Fault, FaultPlan
from tests.support.lab import Lab, encoded, overflowing_unet, run, state_bytes, unet_params
from tests.support.programs import exported, exported_params


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


class Coarse(nn.Module):
    """Returns less than its input, unless height and width are multiples of four."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True) - 0.5, 4)
        return small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


def test_a_program_whose_logits_have_another_shape(lab: Lab) -> None:
    lab.use_model(exported(Coarse(), multiple=2, least=2), exported_params(None))
    bad = lab.put_many(2)
    lab.write_chunk(bad)
    with pytest.raises(ModelLoadError, match=r"2 of 2 images .* a retry cannot fix.* returned \(1, 1, 28, 40\) for"):
        run(lab)
    lab.write_chunk([*bad, lab.put("good.png", grey(80))])
    with pytest.raises(ModelLoadError, match=r"2 failed .* a retry cannot fix; 1 others succeeded.* size_multiple"):
        run(lab)
    assert lab.outcomes() == {"good.png": "done"}


def test_many_images_without_finite_logits_do_not_starve_the_others(lab: Lab) -> None:
    lab.use_model(contrast(), exported_params(8))
    black = [lab.put(f"{index:02}.png", grey(0)) for index in range(40)]
    lab.write_chunk([*black, lab.put("good.png", grey(80))])
    with pytest.raises(NonFiniteLogitsError, match="ended with 40 of 41 images unaccounted for"):
        run(lab)
    assert lab.outcomes() == {"good.png": "done"}


def test_masks_under_a_hold_do_not_starve_the_others(lab: Lab) -> None:
    versions = lab.put_many(36)
    lab.write_chunk(versions)
    for version in versions[:34]:
        lab.hold_mask(version.name)
    with pytest.raises(ObjectHeldError, match=r"ended with 34 of 36 images unaccounted .* 2 others succeeded"):
        run(lab)
    assert lab.outcomes() == {version.name: "done" for version in versions[34:]}
