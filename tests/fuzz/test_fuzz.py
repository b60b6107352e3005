"""A little fuzzing with each run of the tests, always of the same inputs; `make fuzz` takes as long as it is given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.loop import check
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, photographs


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_targets_raise_only_expected_errors(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for seed in seeds:
        check(target, seed)

    @settings(derandomize=True, database=None, deadline=None, max_examples=300)
    @given(st.integers(0, 2**32).map(lambda number: mutated(seeds, number)) | st.binary(max_size=200))
    def fuzz(data: bytes) -> None:
        check(target, data)

    fuzz()


def test_mutations_are_reproducible() -> None:
    seeds = photographs()
    assert [mutated(seeds, number) for number in range(20)] == [mutated(seeds, number) for number in range(20)]
    assert len({mutated(seeds, number) for number in range(50)}) > 45
