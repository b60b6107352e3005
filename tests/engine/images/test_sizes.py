import pytest

from cloudseg_ops.contracts.photographs import fit_size
from cloudseg_ops.engine.images.sizes import padded_size, stride_of
from cloudseg_ops.engine.network.networks import UNet
from tests.support.lab import unet_params
from tests.support.programs import exported_params


def test_stride_is_computed_without_loading_the_network() -> None:
    for arguments in ({"width": 2, "depth": 3}, {"width": 2, "depth": 1}, {"width": 2}):
        assert stride_of(unet_params(arguments=arguments)) == UNet(3, 1, **arguments).stride
    assert stride_of(exported_params(size_multiple=7)) == 7
    assert stride_of(exported_params(size_multiple=None)) == 1


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((300, 400), None, (300, 400)),
        ((300, 400), 400, (300, 400)),
        ((300, 400), 200, (150, 200)),
        ((64, 100), 32, (20, 32)),
        ((1, 4000), 16, (1, 16)),
    ],
)
def test_fit_size_limits_the_longer_side(
    size: tuple[int, int], max_side: int | None, expected: tuple[int, int]
) -> None:
    assert fit_size(size, max_side) == expected


def test_padding_reaches_the_next_multiple() -> None:
    assert padded_size((1, 16), 16) == (16, 16)
    assert padded_size((17, 31), 16) == (32, 32)
    assert padded_size((17, 31), 1) == (17, 31)
