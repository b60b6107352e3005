import pytest

from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import VersionMismatchError
from cloudseg_ops.contracts.versions import fits, image_version, release_name, require_fit, require_image, series

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("wanted", "found", "fit"),
    [
        ("0.1.0", "0.1.0", True), ("0.1.0", "0.1.7", True), ("0.1.7", "0.1.0", True), ("0.1.0", "0.2.0", False),
        ("0.9.0", "1.9.0", False), ("1.2.3", "1.9.0", True), ("1.9.0", "2.0.0", False), ("0.1.0", "0.1.1rc1", True),
        ("0.1.0", "0.1.1+local.2", True), ("0.1.0", "0.1.0-abc1234", True), ("0.10.0", "0.1.0", False),
    ],
)  # fmt: skip
def test_versions_of_one_series_are_compatible(wanted: str, found: str, fit: bool) -> None:
    assert fits(wanted, found) is fit
    assert fits(found, wanted) is fit


def test_this_version_is_compatible_with_itself() -> None:
    assert fits(__version__, __version__)


@pytest.mark.parametrize("text", ["", "1", "1.2", "one", "v1.2.3", "1.2.3 4", "1.2.3\n", "latest"])
def test_invalid_version_is_reported(text: str) -> None:
    with pytest.raises(VersionMismatchError, match="is not a version of cloudseg"):
        series(text)


def test_mismatch_names_both_versions_and_the_remedy() -> None:
    require_fit("0.1.0", "0.1.4")
    with pytest.raises(VersionMismatchError) as raised:
        require_fit("0.2.0", "0.1.4")
    message = str(raised.value)
    assert "this engine is cloudseg 0.1.4, and the DAG that started it is 0.2.0" in message
    assert "nothing was touched" in message
    assert "`make deploy`" in message


@pytest.mark.parametrize(
    ("image", "version"),
    [
        (f"europe-docker.pkg.dev/p/r/engine:0.3.1-abc1234-cuda{DIGEST}", "0.3.1"),
        (f"localhost:5000/engine:1.2.3{DIGEST}", "1.2.3"),
        ("engine:0.3.1", "0.3.1"),
        (f"localhost:5000/engine{DIGEST}", None),
        ("cloudseg-inference:dev", None),
        ("1.2.3/engine:dev", None),
    ],
)
def test_version_is_read_from_the_image_tag(image: str, version: str | None) -> None:
    assert image_version(image) == version


def test_incompatible_image_is_rejected() -> None:
    for image in (f"engine:0.1.9-abc{DIGEST}", f"engine{DIGEST}", "cloudseg-inference:dev", ""):
        require_image("0.1.0", image)
    with pytest.raises(
        VersionMismatchError, match=r"is cloudseg 0\.2\.0, and this DAG is 0\.1\.0: .*no pod was started"
    ):
        require_image("0.1.0", f"engine:0.2.0-abc{DIGEST}")


def test_release_name() -> None:
    assert release_name("0.1.0", "1a2b3c4d5e6f" + "0" * 28) == "0.1.0-1a2b3c4d5e6f"
    assert release_name("0.1.0", "") == "0.1.0"
