import json

import pytest

from cloudseg_ops.contracts import errors
from cloudseg_ops.contracts.engine_failure import PERMANENT, failure_line, is_permanent, permanent_failure
from cloudseg_ops.contracts.errors import ChunkFailedError, EngineError, ModelLoadError, NonFiniteWeightsError
from cloudseg_ops.operators.remedies import REMEDIES


def as_text(error: BaseException) -> str:
    return f"2026-11-24 12:00:00,123 ERROR {failure_line(error)}"


def as_json(error: BaseException) -> str:
    return json.dumps(
        {"severity": "ERROR", "event": "log", "message": failure_line(error), "fields": 1}, ensure_ascii=False
    )


@pytest.mark.parametrize("kind", sorted(PERMANENT, key=str))
@pytest.mark.parametrize("form", [as_text, as_json])
def test_the_dag_raises_the_error_of_the_engine(kind: type[errors.CloudsegError], form: object) -> None:
    assert callable(form)
    lines = ["12:00 INFO something", form(kind('weights "x" of\nv1: NaN')), "a warning of a library"]
    found = permanent_failure(lines, "chunk 3")
    assert type(found) is kind
    assert str(found) == 'chunk 3: weights "x" of v1: NaN'
    assert not REMEDIES[kind].retry


def test_an_error_of_a_newer_engine_is_not_retried_either() -> None:
    found = permanent_failure(["ERROR ModelSignatureError: not signed"], "pod p")
    assert type(found) is ChunkFailedError
    assert str(found) == "pod p: ModelSignatureError: not signed"
    # A class that may be retried elsewhere, too: the exit code counts.
    assert type(permanent_failure(["ERROR StorageError: x"], "pod p")) is ChunkFailedError
    assert not REMEDIES[ChunkFailedError].retry


@pytest.mark.parametrize("lines", [[], ["killed"], ["Error: no such file"], ['{"message": 3}', "[1]"]])
def test_without_an_error_in_the_log_nothing_is_concluded(lines: list[str]) -> None:
    assert permanent_failure(lines, "pod p") is None


def test_a_long_message_fits_into_a_termination_message() -> None:
    line = as_json(ModelLoadError("ä" * 3000 + " end"))
    assert len(line.encode()) < 2048
    found = permanent_failure([line], "pod p")
    assert type(found) is ModelLoadError
    assert str(found).endswith(" end")


def test_only_the_listed_classes_are_permanent() -> None:
    assert is_permanent(NonFiniteWeightsError("x"))
    assert not is_permanent(EngineError("x"))
    assert not is_permanent(errors.LowPrecisionError("x"))
    assert not is_permanent(errors.ChunkUnfinishedError("x"))
