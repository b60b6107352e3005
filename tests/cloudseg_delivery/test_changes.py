from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_delivery.changes import Change, change, gone, pairs_argument, read_requirements
from cloudseg_ops.contracts.errors import DeliveryRefusedError
from tests.cloudseg_delivery.stand_in import pairs

MAPS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12"))


def test_change_sets_differences_and_removes_owned_keys() -> None:
    found = change({"a": "1", "b": "1", "c": "1", "d": "1"}, {"a": "1", "b": "2", "e": "3"}, ["c", "e", "f"])
    assert found == Change({"b": "2", "e": "3"}, ("c",))
    assert found
    assert not change({"a": "1", "z": "9"}, {"a": "1"}, ["a"])


@given(MAPS, MAPS, st.sets(st.sampled_from("abcdef")))
def test_change_reaches_the_target_and_keeps_foreign_keys(
    current: dict[str, str], wanted: dict[str, str], owned: set[str]
) -> None:
    found = change(current, wanted, owned)
    after = {key: value for key, value in current.items() if key not in found.remove} | dict(found.set)
    assert wanted.items() <= after.items()
    foreign = current.keys() - owned - wanted.keys()
    assert all(after[key] == current[key] for key in foreign)
    assert not (owned - wanted.keys()) & after.keys()
    assert not change(after, wanted, owned)


def test_removed_files() -> None:
    assert gone({"b", "a", "c"}, ["a"]) == ["b", "c"]


def test_requirements_in_composer_s_format() -> None:
    text = "# why\ndvc==3.67.1\n\ndvc-gs==3.1.0  # and this\nthing[one,two]==1.0rc1\n"
    assert read_requirements(text) == {"dvc": "==3.67.1", "dvc-gs": "==3.1.0", "thing": "[one,two]==1.0rc1"}


def test_requirements_of_the_repository_are_pinned() -> None:
    packages = read_requirements((Path(__file__).parents[2] / "requirements.txt").read_text())
    assert {"dvc", "dvc-gs"} <= packages.keys()
    assert not {"torch", "apache-airflow"} & packages.keys()


@pytest.mark.parametrize(
    "line", ["dvc", "dvc>=3", "dvc==3.*", "DVC==3.67.1", "-r other.txt", "git+https://x/y", "a==1,<2"]
)
def test_unpinned_requirement_is_rejected(line: str) -> None:
    with pytest.raises(DeliveryRefusedError, match="is not an exact pin"):
        read_requirements(line)


VALUES = st.dictionaries(
    st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text("ab,;|=^ @{}\"'", max_size=12), min_size=1
)


@given(VALUES)
def test_gcloud_parses_the_same_pairs(values: dict[str, str]) -> None:
    assert pairs(pairs_argument(values)) == values


def test_values_without_a_free_delimiter_are_rejected() -> None:
    with pytest.raises(DeliveryRefusedError, match="none of them: remove one"):
        pairs_argument({"A": ";|~%&*!?"})
