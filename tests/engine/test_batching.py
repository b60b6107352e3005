from cloudseg_ops.engine.batching import Batcher


def test_full_batches_go_first_and_the_longest_waiting_next() -> None:
    batcher: Batcher[str] = Batcher(2, 10_000)
    assert batcher.take() == []
    batcher.add("lone", (1, 1))
    for item in "abc":
        batcher.add(item, (8, 8))
    assert batcher.has_full()
    assert batcher.take() == ["a", "b"]
    assert not batcher.has_full()
    assert batcher.take() == ["lone"]
    assert batcher.take() == ["c"]
    assert batcher.take() == []


def test_large_images_make_small_batches() -> None:
    batcher: Batcher[int] = Batcher(8, 100)
    for item in range(3):
        batcher.add(item, (5, 10))
    batcher.add(9, (100, 100))
    assert [batcher.take() for _ in range(3)] == [[0, 1], [9], [2]]
