import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.runs.chunking import OBJECT_OVERHEAD, count_chunks, last_end, split

sizes_of_inputs = st.lists(st.integers(0, 10**9) | st.sampled_from([0, 1, 2**40]), min_size=1, max_size=120)


def _inputs(sizes: list[int]) -> list[InputObject]:
    return [InputObject(f"{number:06d}.jpg", number + 1, size, "c") for number, size in enumerate(sizes)]


def _split(sizes: list[int], chunks: int) -> list[tuple[int, list[InputObject]]]:
    parts = split(_inputs(sizes), objects=len(sizes), total_bytes=sum(sizes), chunks=chunks)
    return [(index, list(members)) for index, members in parts]


def _weight(members: list[InputObject]) -> int:
    return sum(member.size + OBJECT_OVERHEAD for member in members)


@given(sizes_of_inputs, st.integers(1, 150))
@example([0], 1)
@example([0], 150)
@example([0] * 120, 7)
@example([2**40] + [0] * 119, 120)
@example([0] * 119 + [2**40], 120)
def test_inputs_are_split_in_order_into_chunks_of_bounded_weight(sizes: list[int], chunks: int) -> None:
    parts = _split(sizes, chunks)
    assert [item for _, members in parts for item in members] == _inputs(sizes)
    assert [index for index, _ in parts] == list(range(len(parts)))
    assert 1 <= len(parts) <= chunks
    assert all(members for _, members in parts)
    total = sum(sizes) + len(sizes) * OBJECT_OVERHEAD
    heaviest = max(sizes) + OBJECT_OVERHEAD
    # In integers, because rounding would hide one byte too many: weight <= total / chunks + heaviest.
    assert all((_weight(members) - heaviest) * chunks <= total for _, members in parts)


@given(st.integers(1, 100), st.integers(1, 40), st.integers(0, 10**6))
def test_equal_inputs_make_equal_chunks(objects: int, chunks: int, size: int) -> None:
    parts = _split([size] * objects, chunks)
    assert len(parts) == min(objects, chunks)
    counts = [len(members) for _, members in parts]
    assert max(counts) - min(counts) <= 1


def test_no_inputs_make_no_chunk() -> None:
    assert list(split([], objects=0, total_bytes=0, chunks=0)) == []
    assert list(split([], objects=0, total_bytes=0, chunks=5)) == []


def test_sizes_beyond_float_precision_are_split_exactly() -> None:
    # 2**53 + 1 is the first integer that a float cannot represent.
    parts = _split([2**53 + 1] * 8, 4)
    assert [len(members) for _, members in parts] == [2, 2, 2, 2]


def _stream(objects: int) -> Iterator[InputObject]:
    for number in range(objects):
        yield InputObject(f"{number:08d}.jpg", number + 1, 1000, "c")


def _peak(objects: int) -> int:
    tracemalloc.start()
    try:
        seen = 0
        for _, members in split(_stream(objects), objects=objects, total_bytes=1000 * objects, chunks=10):
            seen += sum(1 for _ in members)
        assert seen == objects
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_inputs() -> None:
    _peak(100)
    few, many = _peak(5_000), _peak(50_000)
    # If all inputs were held, the additional 45,000 would take several megabytes.
    assert many < few + 20_000


@given(st.integers(1, 10**7), st.integers(1, 10**6), st.integers(1, 1024))
def test_chunks_have_the_target_size_within_the_maximum_number(
    objects: int, chunk_objects: int, max_chunks: int
) -> None:
    count = count_chunks(objects, chunk_objects=chunk_objects, max_chunks=max_chunks)
    assert 1 <= count <= min(max_chunks, objects)
    if count < max_chunks:
        assert (count - 1) * chunk_objects < objects <= count * chunk_objects


@pytest.mark.parametrize(
    ("objects", "expected"), [(0, 0), (1, 1), (499, 1), (500, 1), (501, 2), (100_000, 200), (100_001, 200)]
)
def test_number_of_chunks(objects: int, expected: int) -> None:
    assert count_chunks(objects, chunk_objects=500, max_chunks=200) == expected


@pytest.mark.parametrize(
    ("durations", "places", "expected"),
    [
        ([], [0.0], 0.0),
        ([], [3.0, 5.0], 5.0),
        ([4.0], [0.0, 0.0], 4.0),
        ([4.0, 4.0, 4.0], [0.0, 0.0], 8.0),
        ([4.0, 4.0, 4.0], [0.0], 12.0),
        ([1.0, 5.0, 1.0], [0.0, 2.0], 6.0),
        ([1.0], [10.0, 2.0], 10.0),
    ],
)
def test_last_end_of_a_queue(durations: list[float], places: list[float], expected: float) -> None:
    assert last_end(durations, places) == expected


@given(st.lists(st.floats(0, 1000), max_size=50), st.integers(1, 10))
def test_queue_takes_at_most_its_share_plus_the_longest_item(durations: list[float], places: int) -> None:
    found = last_end(durations, [0.0] * places)
    share = sum(durations) / places
    assert max([share, *durations]) - 1e-6 <= found <= share + max(durations, default=0.0) + 1e-6
