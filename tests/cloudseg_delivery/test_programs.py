"""What a program's failure is taken for, in the words of gcloud."""

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


def says(text: str, *, do: bool = False) -> DeliveryError:
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
def test_a_missing_permission(text: str) -> None:
    error = says(text)
    assert type(error) is MissingPermissionError
    assert text in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: (gcloud.storage.cp) HTTPError 412: At least one of the pre-conditions you specified did not hold.",
        "ERROR: precondition failed",
    ],
)
def test_somebody_was_faster(text: str) -> None:
    assert type(says(text, do=True)) is ConcurrentDeliveryError


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: (gcloud.storage.objects.describe) gs://b/state.json not found: 404.",
        "ERROR: (gcloud.storage.cat) The following URLs matched no objects or files:\ngs://b/state.json",
        "ERROR: (gcloud.composer.environments.describe) NOT_FOUND: Resource 'x' was not found",
        "ERROR: (gcloud.artifacts.docker.images.describe) Image not found.",
    ],
)
def test_what_is_not_there(text: str) -> None:
    programs = Programs(Path.cwd(), lambda line: None)
    assert programs.query_optional(sys.executable, "-c", SAYS, text) is None
    assert isinstance(says(text), CommandFailedError)


def test_another_failure_is_told_by_its_last_lines() -> None:
    error = says("\n".join(f"line {number}" for number in range(9)))
    assert type(error) is CommandFailedError
    assert "ended with exit code 1: line 4 | line 5 | line 6 | line 7 | line 8" in str(error)
    assert "no output" in str(says(""))


def test_a_line_that_says_what_is_wrong_is_told_with_what_follows() -> None:
    error = says("Listing…\nERROR: (gcloud.storage.cp) no account.\nTo log in, run:\n\n  $ gcloud auth login\n")
    assert str(error).endswith(": ERROR: (gcloud.storage.cp) no account. | To log in, run: | $ gcloud auth login")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandFailedError, match=r"`nonesuch` cannot be run \(No such file or directory\); install it"):
        Programs(Path.cwd(), print).query("nonesuch", "--version")


def test_a_rehearsal_only_tells_of_changes(tmp_path: Path) -> None:
    told: list[str] = []
    programs = Programs(tmp_path, told.append, dry_run=True)
    programs.run("touch", "a file", environment={"KEY": "a value"})
    assert programs.query("printf", "seen\n") == "seen"
    assert list(tmp_path.iterdir()) == []
    assert told == ["  would run: 'KEY=a value' touch 'a file'"]


def test_only_the_line_that_says_what_is_wrong_is_judged() -> None:
    error = says("layer 403 of 404: done\nERROR: the disk is full")
    assert type(error) is CommandFailedError


def test_what_takes_long_is_told_as_it_comes() -> None:
    told: list[str] = []
    programs = Programs(Path.cwd(), told.append)
    programs.run(sys.executable, "-c", "print('one'); print('two')", stream=True)
    assert told[1:] == ["    one", "    two"]
    with pytest.raises(MissingPermissionError, match="ERROR: PERMISSION_DENIED"):
        programs.run(sys.executable, "-c", SAYS, "building\nERROR: PERMISSION_DENIED", stream=True)
    assert "    building" in told
    with pytest.raises(CommandFailedError, match="`nonesuch` cannot be run"):
        programs.run("nonesuch", stream=True)


def test_what_is_not_for_everyone_is_not_told() -> None:
    told: list[str] = []
    Programs(Path.cwd(), told.append).run("true", "--password=hidden", display=["true", "--password"])
    assert told == ["  true --password"]
