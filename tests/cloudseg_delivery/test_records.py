import pytest

from cloudseg_delivery.records import KEPT, MAX_DELIVERY_SECONDS, Release, State, owned_files
from cloudseg_ops.contracts.errors import DeliveryError


def release(name: str, *files: str) -> Release:
    return Release(
        name, "0.1.0", "a" * 40, "engine:0.1.0@sha256:…", {"dvc": "==3"}, {"A": "1"}, dict.fromkeys(files, "00")
    )


def test_records_go_there_and_back() -> None:
    one = release("0.1.0-a", "dags/a.py")
    assert Release.from_json(one.to_json()) == one
    for state in (State(), State("b", ("c", "d"), ("a", "b"), 12.5)):
        assert State.from_json(state.to_json()) == state


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"good": 1}', '{"name": "x"}', "null"])
def test_what_is_no_record_is_told(text: str) -> None:
    with pytest.raises(DeliveryError, match="is not readable"):
        State.from_json(text)
    with pytest.raises(DeliveryError, match="is not readable"):
        Release.from_json(text)


def test_from_one_good_release_to_the_next() -> None:
    state = State().begun("a", 1).succeeded("a").begun("b", 2)
    assert state == State("a", ("b",), ("a",), 2)
    assert state.known() == ("a", "b")
    assert (state.rollback_target("b"), state.rollback_target("a")) == ("a", None)
    assert state.rolled_back() == State("a", (), ("a",))
    assert state.given_up() == State("a", ("b",), ("a",))
    assert state.succeeded("b") == State("b", (), ("a", "b"))
    assert state.succeeded("b").before() == "a"
    assert State("a", (), ("a",)).before() is None


def test_a_good_release_that_is_brought_again_stays_where_it_is() -> None:
    assert State("b", (), ("a", "b")).begun("b", 1).succeeded("b") == State("b", (), ("a", "b"))
    assert State("b", (), ("a", "b")).begun("a", 1).succeeded("a") == State("a", (), ("a",))


def test_a_delivery_is_under_way_until_it_must_have_died() -> None:
    state = State().begun("a", 1000)
    assert state.under_way(1001)
    assert not state.under_way(1000 + MAX_DELIVERY_SECONDS)
    assert not State("a", ("b",)).under_way(0)


def test_so_many_are_kept_and_the_rest_forgotten() -> None:
    state = State()
    for number in range(KEPT + 3):
        begun = state.begun(str(number), number)
        state = begun.succeeded(str(number))
    assert len(state.history) == KEPT
    assert begun.obsolete_releases(state) == ["2"]
    # One that failed is forgotten with the next good one.
    failed = state.begun("bad", 1).given_up().begun("next", 2)
    assert failed.obsolete_releases(failed.succeeded("next")) == ["3", "bad"]


def test_what_releases_own() -> None:
    assert owned_files([release("a", "dags/a.py", "dags/b.py"), release("b", "dags/b.py")]) == {
        "dags/a.py",
        "dags/b.py",
    }
