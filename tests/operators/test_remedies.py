"""The remedies, for every class of the exception tree."""

import re

import pytest

from cloudseg_ops.config.pods import MORE_MEMORY
from cloudseg_ops.config.settings import variables
from cloudseg_ops.contracts import errors
from cloudseg_ops.contracts.errors import CloudsegError, LocalError, StorageError, UnknownRevisionError
from cloudseg_ops.engine.process.options import parse_options
from cloudseg_ops.operators.failures import Failure, failure_summary, origin, remedy
from cloudseg_ops.operators.remedies import REMEDIES
from cloudseg_ops.pods import CONTAINER, final_error


def _tree(kind: type[CloudsegError]) -> list[type[CloudsegError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


TREE = [kind for kind in _tree(CloudsegError) if kind.__module__ == errors.__name__]
PERMANENT = {
    "SettingsError", "BucketNotFoundError", "ManifestError", "InvalidRevisionError", "UnknownRevisionError",
    "ModelPathError", "CorruptModelError", "ModelParamsError", "ModelLoadError", "BadImageError", "ImageTooLargeError",
    "WeightsFileError", "NonFiniteWeightsError", "ChunkFailedError", "RevisionRefusedError", "UnsafeProgramError",
    "NonFiniteLogitsError", "PodTemplateError", "RunError", "InputsLostError", "RunIncompleteError",
    "ObjectHeldError", "ObjectRetainedError", "DeletesRefusedError", "ObjectEncryptedError",
    "ContentEncodingError", "DecoderMissingError", "RemoteSupportMissingError",
    "LocalError", "DeliveryError", "DeliveryRefusedError", "MissingPermissionError", "SmokeTestError", "RollBackError",
}  # fmt: skip


def test_every_error_class_has_a_remedy() -> None:
    assert set(REMEDIES) == set(TREE)


@pytest.mark.parametrize("kind", TREE)
def test_permanent_errors_are_not_retried(kind: type[CloudsegError]) -> None:
    assert remedy(kind("x")).retry is (kind.__name__ not in PERMANENT)


@pytest.mark.parametrize("kind", TREE)
def test_failure_summary_has_the_error_and_the_remedy(kind: type[CloudsegError]) -> None:
    lines = failure_summary(kind("gs://photos/a.jpg is not there"), attempt=1, attempts=3, again=REMEDIES[kind].retry)
    assert len(lines) == 3
    assert lines[1] == f"What happened: {kind.__name__}: gs://photos/a.jpg is not there"
    assert lines[2] == f"What to do: {REMEDIES[kind].todo}"
    assert lines[2].endswith((".", "`"))


def test_failure_summary_counts_the_tries() -> None:
    broken = StorageError("x")
    assert failure_summary(broken, attempt=1, attempts=3, again=True)[0] == "Try 1 of 3 failed; Airflow tries again."
    assert failure_summary(broken, attempt=3, attempts=3, again=False)[0] == "Try 3 of 3 failed; it was the last one."
    at_once = failure_summary(UnknownRevisionError("x"), attempt=1, attempts=3, again=False)[0]
    assert at_once == "Try 1 of 3 failed, and a retry cannot fix it, so there is none."
    assert failure_summary(UnknownRevisionError("x"), attempt=1, attempts=1, again=False)[0].endswith(
        "it was the last one."
    )


def test_class_without_a_remedy_inherits_one() -> None:
    class PortTakenError(LocalError):
        pass

    assert remedy(PortTakenError("x")) is REMEDIES[LocalError]


def test_other_errors_point_to_the_traceback() -> None:
    lines = failure_summary(ZeroDivisionError("by zero"), attempt=1, attempts=1, again=False)
    assert lines[1] == "What happened: ZeroDivisionError: by zero"
    assert "the traceback above" in lines[2]


def test_original_error_is_found() -> None:
    def refuse() -> None:
        raise StorageError("gs://a/b: refused")

    def fail() -> None:
        try:
            refuse()
        except StorageError:
            raise RuntimeError("StorageError: gs://a/b: refused") from None

    with pytest.raises(RuntimeError) as raised:
        fail()
    assert isinstance(origin(raised.value), StorageError)
    assert failure_summary(raised.value, attempt=1, attempts=1, again=False)[1] == (
        "What happened: StorageError: gs://a/b: refused"
    )
    other = ValueError("x")
    assert origin(other) is other


def test_cyclic_error_contexts_terminate() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert origin(one) is one


def test_failure_is_json_of_bounded_size() -> None:
    fields = Failure.of(StorageError("x" * 5000)).to_json()
    assert fields["error"] == "StorageError"
    assert len(fields["message"]) == 2000
    assert fields["todo"] == REMEDIES[StorageError].todo


def test_advice_on_pod_memory_is_consistent() -> None:
    seen = {"metadata": {"name": "p"}, "status": {"containerStatuses": [
        {"name": CONTAINER, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    ]}}  # fmt: skip
    found = final_error(seen, "p")
    assert MORE_MEMORY in str(found)
    assert MORE_MEMORY in Failure.of(found).todo


def test_remedies_name_existing_options_and_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    advice = " ".join(entry.todo for entry in REMEDIES.values())
    assert set(re.findall(r"--[a-z-]+", advice)) <= options
    assert "--memory" in advice
    named = set(re.findall(r"CLOUDSEG_[A-Z_]+[A-Z]", advice.replace("CLOUDSEG_*_BUCKET", "")))
    assert named <= set(variables())
