import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import GalleryError
from cloudseg_ops.gallery.cursor import Cursor


@given(st.integers(0, 99_999), st.integers(0, 10**15 - 1), st.integers(0, 10**19 - 1))
def test_a_cursor_is_read_as_it_was_written(chunk: int, offset: int, generation: int) -> None:
    cursor = Cursor(chunk, offset, generation)
    assert Cursor.parse(str(cursor)) == cursor


def test_nothing_is_the_beginning() -> None:
    assert Cursor.parse("") == Cursor(0, 0, 0)


@pytest.mark.parametrize(
    "text", ["1", "1-2", "1-2-3-4", "-1-2-3", "1-2-x", "1-2-3\n", "٣-1-1", "<b>-1-1", "../1-1-1", "9" * 30 + "-1-1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(GalleryError, match="not a position in a gallery"):
        Cursor.parse(text)
