"""Files that people upload under the name of a photograph: what the reason of the quarantine says."""

import numpy as np
import pytest

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.contracts.file_kinds import identify
from cloudseg_ops.contracts.tiff_pages import MOST_PAGES, read_pages
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.gallery.decoding import decode_photograph
from cloudseg_ops.gallery.errors import NotShownError
from tests.support.odd_files import (
    NOT_PHOTOGRAPHS,
    RAW_TIFF,
    RGB,
    SEVERAL_PHOTOGRAPHS,
    SINGLE_PHOTOGRAPHS,
    UNREADABLE_TIFFS,
)
from tests.support.tiffs import tiff

LIMIT = 10**6
ODD = {**NOT_PHOTOGRAPHS, **UNREADABLE_TIFFS}


@pytest.mark.parametrize("kind", ODD)
def test_reason_says_what_the_file_is_and_what_to_do(kind: str) -> None:
    data, named = ODD[kind]
    with pytest.raises(BadImageError, match=named) as raised:
        decode(data, 3, LIMIT)
    reason = str(raised.value)
    assert "\n" not in reason
    assert len(reason) < 300
    assert kind == "empty" or any(advice in reason for advice in ("upload", "convert"))


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "empty"])
def test_gallery_gives_the_same_reason(kind: str) -> None:
    data, named = ODD[kind]
    with pytest.raises(NotShownError, match=named):
        decode_photograph(data, 320)


@pytest.mark.parametrize("kind", SINGLE_PHOTOGRAPHS)
def test_tiff_with_overviews_thumbnails_or_masks_is_one_photograph(kind: str) -> None:
    data = SINGLE_PHOTOGRAPHS[kind]
    assert np.array_equal(decode(data, 3, LIMIT).pixels, RGB)
    assert np.array_equal(np.asarray(decode_photograph(data, 320)), RGB)


@pytest.mark.parametrize("kind", SEVERAL_PHOTOGRAPHS)
def test_tiff_of_several_photographs_is_rejected(kind: str) -> None:
    with pytest.raises(BadImageError, match="several frames"):
        decode(SEVERAL_PHOTOGRAPHS[kind], 3, LIMIT)
    with pytest.raises(NotShownError, match="several frames"):
        decode_photograph(SEVERAL_PHOTOGRAPHS[kind], 320)


def test_limits_apply_to_the_page_of_the_photograph() -> None:
    with pytest.raises(BadImageError, match="bomb: 16 × 12"):
        decode(SINGLE_PHOTOGRAPHS["thumbnail first"], 3, 16 * 12 - 1)


def test_cyclic_page_chain_ends() -> None:
    data = bytearray(tiff((RGB, {}), (RGB, {})))
    pages = read_pages(bytes(data))
    assert len(pages) == 2
    last = data.rindex(bytes(4))
    data[last : last + 4] = data[4:8]
    assert read_pages(bytes(data)) == pages
    assert len(read_pages(SEVERAL_PHOTOGRAPHS["more pages than are read"])) == MOST_PAGES


def test_read_pages_accepts_truncated_files() -> None:
    for data in (RAW_TIFF, SINGLE_PHOTOGRAPHS["bigtiff"]):
        counts = [len(read_pages(data[:size])) for size in range(0, len(data), 3)]
        assert set(counts) <= {0, 1, 2}


def test_unknown_kinds_are_none() -> None:
    assert identify(bytes(5000) + b"x") is None
    assert identify(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") is None
