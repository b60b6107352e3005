import pytest

from cloudseg_delivery.records import KEPT, MAX_DELIVERY_SECONDS, Release, State, owned_files
from cloudseg_ops.contracts.errors import DeliveryError


def release(name: str, *files: str) -> Release:
    return Release(
        name, "0.1.0", "a" * 40, "engine:0.1.0@sha256:…", {"dvc": "==3"}, {"A": "1"}, dict.fromkeys(files, "00")
    )


def test_records_round_trip() -> None:
    one = release("0.1.0-a", "dags/a.py")
    assert Release.from_json(one.to_json()) == one
    for state in (State(), State("b", ("c", "d"), ("a", "b"), 12.5)):
        assert State.from_json(state.to_json()) == state


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"good": 1}', '{"name": "x"}', "null"])
def test_invalid_record_is_reported(text: str) -> None:
    with pytest.raises(DeliveryError, match="is not readable"):
        State.from_json(text)
    with pytest.raises(DeliveryError, match="is not readable"):
        Release.from_json(text)


def test_state_transitions_between_releases() -> None:
    state = State().begun("a", 1).succeeded("a").begun("b", 2)
    assert state == State("a", ("b",), ("a",), 2)
    assert state.known() == ("a", "b")
    assert (state.rollback_target("b"), state.rollback_target("a")) == ("a", None)
    assert state.rolled_back() == State("a", (), ("a",))
    assert state.given_up() == State("a", ("b",), ("a",))
    assert state.succeeded("b") == State("b", (), ("a", "b"))
    assert state.succeeded("b").before() == "a"
    assert State("a", (), ("a",)).before() is None


def test_history_keeps_the_place_of_a_redeployed_release() -> None:
    assert State("b", (), ("a", "b")).begun("b", 1).succeeded("b") == State("b", (), ("a", "b"))
    assert State("b", (), ("a", "b")).begun("a", 1).succeeded("a") == State("a", (), ("a",))


def test_delivery_is_under_way_until_its_maximum_duration() -> None:
    state = State().begun("a", 1000)
    assert state.under_way(1001)
    assert not state.under_way(1000 + MAX_DELIVERY_SECONDS)
    assert not State("a", ("b",)).under_way(0)


def test_only_the_newest_releases_are_kept() -> None:
    state = State()
    for number in range(KEPT + 3):
        begun = state.begun(str(number), number)
        state = begun.succeeded(str(number))
    assert len(state.history) == KEPT
    assert begun.obsolete_releases(state) == ["2"]
    # A failed release is removed with the next good one.
    failed = state.begun("bad", 1).given_up().begun("next", 2)
    assert failed.obsolete_releases(failed.succeeded("next")) == ["3", "bad"]


def test_files_owned_by_releases() -> None:
    assert owned_files([release("a", "dags/a.py", "dags/b.py"), release("b", "dags/b.py")]) == {
        "dags/a.py",
        "dags/b.py",
    }
