import pytest

from cloudseg_ops.contracts.errors import EngineError
from cloudseg_ops.engine.memory.plan import memory_limit, plan_memory

GIB = 2**30


@pytest.mark.parametrize("on_gpu", [True, False])
def test_the_parts_do_not_exceed_the_budget(on_gpu: bool) -> None:
    plan = plan_memory(8 * GIB, GIB, on_gpu=on_gpu)
    assert plan.downloads + plan.images + plan.compute <= 7 * GIB
    assert plan.images <= plan.largest_image < 7 * GIB
    assert (plan.compute == 0) is on_gpu


def test_the_error_for_too_little_memory_says_how_much_is_needed() -> None:
    with pytest.raises(EngineError, match=r"1\.1 GiB leaves 102 MiB .* at least 1\.25 GiB with --memory"):
        plan_memory(int(1.1 * GIB), GIB, on_gpu=False)


def test_this_machine_has_a_memory_limit() -> None:
    assert 256 * 2**20 < memory_limit() < 2**50
