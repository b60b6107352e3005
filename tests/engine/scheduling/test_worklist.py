import pytest

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.engine.scheduling.worklist import Worklist


def source(name: str, generation: int = 1) -> InputObject:
    return InputObject(name, generation, 10, "AAAA")


def names(*sources: InputObject) -> list[tuple[int, str, int]]:
    with Worklist(item.to_line() for item in sources) as worklist:
        found = [(index, item.name, item.generation) for index, item in worklist]
        assert worklist.total == len(found)
        assert found == [(index, item.name, item.generation) for index, item in worklist]
        return found


def test_inputs_are_in_order_and_numbered() -> None:
    assert names() == []
    assert names(source("a"), source("b"), source("ü")) == [(0, "a", 1), (1, "b", 1), (2, "ü", 1)]


def test_duplicates_count_once_at_any_position() -> None:
    assert names(source("a"), source("a"), source("b")) == [(0, "a", 1), (1, "b", 1)]
    assert names(source("b"), source("a"), source("c"), source("b"), source("c")) == [
        (0, "b", 1),
        (1, "a", 1),
        (2, "c", 1),
    ]


def test_two_versions_of_a_name_are_two_inputs() -> None:
    assert names(source("a", 2), source("a", 1), source("a", 2)) == [(0, "a", 2), (1, "a", 1)]


def test_blank_lines_are_skipped_and_invalid_ones_rejected() -> None:
    with Worklist(["", source("a").to_line(), "  "]) as worklist:
        assert worklist.total == 1
    with pytest.raises(ManifestError):
        Worklist(["nothing"])
