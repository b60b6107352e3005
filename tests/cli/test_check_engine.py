"""How `cloudseg model check` words the end of its engine."""

import json

import pytest

from cloudseg_ops.cli.check_engine import _engine_error, _show
from cloudseg_ops.contracts.errors import ChunkUnfinishedError, CloudsegError, EngineError, ModelLoadError

Output = pytest.CaptureFixture[str]


def line(severity: str, message: str) -> str:
    return json.dumps({"severity": severity, "message": message}) + "\n"


@pytest.mark.parametrize(
    ("code", "lines", "kind", "message"),
    [
        (4, [line("ERROR", "ModelLoadError: it does not fit")], ModelLoadError, "this error: it does not fit"),
        (1, [line("ERROR", "DeviceError: no GPU"), "\n"], ChunkUnfinishedError, "no GPU"),
        (-9, [line("INFO", "loading")], EngineError, "was ended by signal 9, as when memory is exhausted; .*loading"),
        (1, ["Fatal: half a line"], EngineError, "ended with exit code 1; the end of its log: Fatal: half a line"),
        (2, [], EngineError, "the end of its log: empty"),
    ],
)
def test_an_engine_that_failed_is_an_error(
    code: int, lines: list[str], kind: type[CloudsegError], message: str
) -> None:
    error = _engine_error(code, lines)
    assert type(error) is kind
    assert error.args
    with pytest.raises(kind, match=message):
        raise error


def test_only_warnings_that_the_outcome_does_not_repeat_are_shown(capsys: Output) -> None:
    for text in (
        line("INFO", "computing on the CPU"),
        line("WARNING", "quarantine a.jpg#1: truncated"),
        line("WARNING", "the values look like probabilities"),
        line("ERROR", "the error is raised"),
        "not JSON\n",
    ):
        _show(text, verbose=False)
    assert capsys.readouterr().err == "engine     warning: the values look like probabilities\n"
    _show("not JSON\n", verbose=True)
    assert capsys.readouterr().err == "engine     info: not JSON\n"
