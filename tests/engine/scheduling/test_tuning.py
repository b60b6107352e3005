from collections.abc import Callable

from cloudseg_ops.engine.scheduling.tuning import BatchTuner

SMALL, LARGE = (64, 64), (512, 512)


def run_batches(
    tuner: BatchTuner, seconds: Callable[[int], float], size: tuple[int, int] = SMALL, batches: int = 60
) -> int:
    """Compute full batches on a device whose time per batch is `seconds(images)`."""
    for _ in range(batches):
        images = tuner.limit(size)
        tuner.record(size, images, seconds(images))
    return tuner.limit(size)


def test_batches_grow_while_that_is_faster() -> None:
    # A launch costs as much as eight images do.
    assert run_batches(BatchTuner(1, 10**9), lambda images: 8 + images) == 128


def test_batches_stay_at_one_image_if_larger_ones_are_no_faster() -> None:
    assert run_batches(BatchTuner(1, 10**9), lambda images: 1.0 * images) == 1


def test_a_batch_size_that_overflows_a_cache_is_abandoned() -> None:
    assert run_batches(BatchTuner(1, 10**9), lambda images: 2 + images * (3 if images > 8 else 1)) == 8


def test_one_slow_batch_does_not_decide() -> None:
    calls = iter([5.0, 5.0, 90.0, 5.0] + [0.0] * 1000)
    assert run_batches(BatchTuner(1, 10**9), lambda images: 8 + images + next(calls)) > 16


def test_memory_bounds_a_batch() -> None:
    tuner = BatchTuner(1, 4 * 64 * 64)
    assert run_batches(tuner, lambda images: 8 + images) == 4
    assert tuner.limit(LARGE) == 1


def test_running_out_of_memory_halves_the_limit() -> None:
    tuner = BatchTuner(1, 10**9)
    assert run_batches(tuner, lambda images: 8 + images, batches=20) >= 16
    tuner.shrink(16 * 64 * 64)
    assert tuner.limit(SMALL) == 8
    assert run_batches(tuner, lambda images: 8 + images) == 8


def test_each_size_finds_its_own_batch_size() -> None:
    tuner = BatchTuner(1, 10**9)
    assert run_batches(tuner, lambda images: 1.0 * images, LARGE) == 1
    assert run_batches(tuner, lambda images: 8 + images, SMALL) > 16
    assert tuner.limit(LARGE) == 1


def test_a_fixed_batch_size_is_used() -> None:
    tuner = BatchTuner(1, 10 * 64 * 64, fixed=6)
    assert run_batches(tuner, lambda images: 1.0 * images) == 6
    assert tuner.limit(LARGE) == 1
