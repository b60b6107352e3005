import pytest

from cloudseg_ops.engine.session import max_fetching


@pytest.mark.parametrize(("waiting", "allowed"), [(0, 32), (4, 24), (8, 16), (15, 2), (16, 0), (40, 0)])
def test_the_more_images_wait_the_fewer_are_fetched(waiting: int, allowed: int) -> None:
    assert max_fetching(32, waiting, ahead=16) == allowed


def test_at_least_one_image_is_fetched_while_too_few_wait() -> None:
    assert max_fetching(1, 15, ahead=16) == 1
