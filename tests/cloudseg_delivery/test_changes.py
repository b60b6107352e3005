from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_delivery.changes import Change, change, gone, pairs_argument, read_requirements
from cloudseg_ops.contracts.errors import DeliveryRefusedError
from tests.cloudseg_delivery.stand_in import pairs

MAPS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12"))


def test_only_what_differs_is_set_and_only_what_is_ours_removed() -> None:
    found = change({"a": "1", "b": "1", "c": "1", "d": "1"}, {"a": "1", "b": "2", "e": "3"}, ["c", "e", "f"])
    assert found == Change({"b": "2", "e": "3"}, ("c",))
    assert found
    assert not change({"a": "1", "z": "9"}, {"a": "1"}, ["a"])


@given(MAPS, MAPS, st.sets(st.sampled_from("abcdef")))
def test_afterwards_all_that_is_wanted_is_there_and_foreign_keys_are_as_before(
    current: dict[str, str], wanted: dict[str, str], owned: set[str]
) -> None:
    found = change(current, wanted, owned)
    after = {key: value for key, value in current.items() if key not in found.remove} | dict(found.set)
    assert wanted.items() <= after.items()
    foreign = current.keys() - owned - wanted.keys()
    assert all(after[key] == current[key] for key in foreign)
    assert not (owned - wanted.keys()) & after.keys()
    assert not change(after, wanted, owned)


def test_files_that_are_gone() -> None:
    assert gone({"b", "a", "c"}, ["a"]) == ["b", "c"]


def test_requirements_as_composer_names_them() -> None:
    text = "# why\ndvc==3.67.1\n\ndvc-gs==3.1.0  # and this\nthing[one,two]==1.0rc1\n"
    assert read_requirements(text) == {"dvc": "==3.67.1", "dvc-gs": "==3.1.0", "thing": "[one,two]==1.0rc1"}


def test_the_repositorys_own_are_exact() -> None:
    packages = read_requirements((Path(__file__).parents[2] / "requirements.txt").read_text())
    assert {"dvc", "dvc-gs"} <= packages.keys()
    assert not {"torch", "apache-airflow"} & packages.keys()


@pytest.mark.parametrize(
    "line", ["dvc", "dvc>=3", "dvc==3.*", "DVC==3.67.1", "-r other.txt", "git+https://x/y", "a==1,<2"]
)
def test_what_composer_would_have_to_search_for_is_refused(line: str) -> None:
    with pytest.raises(DeliveryRefusedError, match="is not an exact pin"):
        read_requirements(line)


VALUES = st.dictionaries(
    st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text("ab,;|=^ @{}\"'", max_size=12), min_size=1
)


@given(VALUES)
def test_gcloud_reads_what_was_meant(values: dict[str, str]) -> None:
    assert pairs(pairs_argument(values)) == values


def test_values_that_leave_no_delimiter() -> None:
    with pytest.raises(DeliveryRefusedError, match="none of them: remove one"):
        pairs_argument({"A": ";|~%&*!?"})
