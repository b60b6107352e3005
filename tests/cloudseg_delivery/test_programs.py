"""How failures of gcloud are classified by their messages."""

import sys
from pathlib import Path

import pytest

from cloudseg_delivery.programs import Programs
from cloudseg_ops.contracts.errors import (
    CommandFailedError,
    ConcurrentDeliveryError,
    DeliveryError,
    MissingPermissionError,
)

SAYS = "import sys; print(sys.argv[1], file=sys.stderr); sys.exit(1)"


def failure(text: str, *, do: bool = False) -> DeliveryError:
    programs = Programs(Path.cwd(), lambda line: None)
    with pytest.raises(DeliveryError) as raised:
        (programs.run if do else programs.query)(sys.executable, "-c", SAYS, text)
    return raised.value


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: (gcloud.composer.environments.update) PERMISSION_DENIED: The caller does not have permission",
        "ERROR: (gcloud.storage.cp) [a@b.iam] does not have permission to access b instance [x] (or it may not exist)",
        "ERROR: HTTPError 403: a@b.iam does not have storage.objects.create access to the Google Cloud Storage object.",
        "ERROR: Permission 'composer.environments.get' denied on resource",
    ],
)
def test_missing_permission_is_recognized(text: str) -> None:
    error = failure(text)
    assert type(error) is MissingPermissionError
    assert text in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: (gcloud.storage.cp) HTTPError 412: At least one of the pre-conditions you specified did not hold.",
        "ERROR: precondition failed",
    ],
)
def test_failed_precondition_is_a_concurrent_delivery(text: str) -> None:
    assert type(failure(text, do=True)) is ConcurrentDeliveryError


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: (gcloud.storage.objects.describe) gs://b/state.json not found: 404.",
        "ERROR: (gcloud.storage.cat) The following URLs matched no objects or files:\ngs://b/state.json",
        "ERROR: (gcloud.composer.environments.describe) NOT_FOUND: Resource 'x' was not found",
        "ERROR: (gcloud.artifacts.docker.images.describe) Image not found.",
    ],
)
def test_missing_resource_is_none(text: str) -> None:
    programs = Programs(Path.cwd(), lambda line: None)
    assert programs.query_optional(sys.executable, "-c", SAYS, text) is None
    assert isinstance(failure(text), CommandFailedError)


def test_other_failure_shows_its_last_lines() -> None:
    error = failure("\n".join(f"line {number}" for number in range(9)))
    assert type(error) is CommandFailedError
    assert "ended with exit code 1: line 4 | line 5 | line 6 | line 7 | line 8" in str(error)
    assert "no output" in str(failure(""))


def test_error_line_is_shown_with_the_lines_after_it() -> None:
    error = failure("Listing…\nERROR: (gcloud.storage.cp) no account.\nTo log in, run:\n\n  $ gcloud auth login\n")
    assert str(error).endswith(": ERROR: (gcloud.storage.cp) no account. | To log in, run: | $ gcloud auth login")


def test_missing_program_is_reported() -> None:
    with pytest.raises(CommandFailedError, match=r"`nonesuch` cannot be run \(No such file or directory\); install it"):
        Programs(Path.cwd(), print).query("nonesuch", "--version")


def test_dry_run_only_prints_changes(tmp_path: Path) -> None:
    printed: list[str] = []
    programs = Programs(tmp_path, printed.append, dry_run=True)
    programs.run("touch", "a file", environment={"KEY": "a value"})
    assert programs.query("printf", "seen\n") == "seen"
    assert list(tmp_path.iterdir()) == []
    assert printed == ["  would run: 'KEY=a value' touch 'a file'"]


def test_only_the_error_line_is_classified() -> None:
    error = failure("layer 403 of 404: done\nERROR: the disk is full")
    assert type(error) is CommandFailedError


def test_output_of_long_commands_is_streamed() -> None:
    printed: list[str] = []
    programs = Programs(Path.cwd(), printed.append)
    programs.run(sys.executable, "-c", "print('one'); print('two')", stream=True)
    assert printed[1:] == ["    one", "    two"]
    with pytest.raises(MissingPermissionError, match="ERROR: PERMISSION_DENIED"):
        programs.run(sys.executable, "-c", SAYS, "building\nERROR: PERMISSION_DENIED", stream=True)
    assert "    building" in printed
    with pytest.raises(CommandFailedError, match="`nonesuch` cannot be run"):
        programs.run("nonesuch", stream=True)


def test_secret_arguments_are_not_printed() -> None:
    printed: list[str] = []
    Programs(Path.cwd(), printed.append).run("true", "--password=hidden", display=["true", "--password"])
    assert printed == ["  true --password"]
