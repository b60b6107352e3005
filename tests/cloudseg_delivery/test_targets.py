from pathlib import Path

import pytest

from cloudseg_delivery.checks import require_settings
from cloudseg_delivery.targets import FOLDER, PLACEHOLDER, load_target, read_pairs, target_of
from cloudseg_ops.contracts.errors import DeliveryRefusedError
from tests.cloudseg_delivery.conftest import TARGET

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted(path.stem for path in (ROOT / FOLDER).glob("*.env"))
PAIRS = read_pairs(TARGET.format(name="mine"), "mine")
REPOSITORY = "CLOUDSEG_MODEL_REPOSITORY"
IMAGE = "registry.example.org/cloudseg@sha256:" + "0" * 64


def filled_in(name: str) -> dict[str, str]:
    """A file of the repository, with its placeholders filled in."""
    text = (ROOT / FOLDER / f"{name}.env").read_text()
    return read_pairs(text.replace(PLACEHOLDER, "my-project"), name)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments_of_the_repository_are_complete(name: str) -> None:
    target = target_of(name, filled_in(name), name)
    require_settings(dict(target.variables), IMAGE)


@pytest.mark.parametrize("name", ["nonesuch", "", "../staging", "STAGING", "staging.env"])
def test_unknown_environment_is_reported_with_the_known_ones(name: str) -> None:
    with pytest.raises(DeliveryRefusedError, match=rf"has {', '.join(ENVIRONMENTS)}\. To add one, add a file there"):
        load_target(ROOT, name)


def test_unfilled_placeholders_are_listed(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    pairs = PAIRS | {"PROJECT": PLACEHOLDER, "CLOUDSEG_INPUT_BUCKET": f"{PLACEHOLDER}-in"}
    file = tmp_path / FOLDER / "mine.env"
    file.write_text("\n".join(f"{key}={value}" for key, value in pairs.items()))
    with pytest.raises(DeliveryRefusedError) as raised:
        load_target(tmp_path, "mine")
    assert str(raised.value) == (f"{FOLDER}/mine.env: PROJECT is not filled in; CLOUDSEG_INPUT_BUCKET is not filled in")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"PROJECT": ""}, "PROJECT is missing"),
        ({"REGION": "x"}, "REGION is not a known key"),
        ({"CLOUDSEG_IMAGE": IMAGE}, "CLOUDSEG_IMAGE is set by the delivery; remove it"),
        ({"IMAGE_VARIANT": "tpu"}, "IMAGE_VARIANT = 'tpu': must be cpu or cuda"),
        ({REPOSITORY: "https://me:secret@git.example.com/m.git"}, f"{REPOSITORY} contains a passw.*"),
        ({REPOSITORY: "https://ghp_token@git.example.com/m.git"}, f"{REPOSITORY} contains a passw.*"),
        ({"CLOUDSEG_ON_FAILURE": "https://hooks.example.com/T0/B0/x"}, "CLOUDSEG_ON_FAILURE is a secret address.*"),
        ({"UNPAUSE": "perhaps"}, "UNPAUSE = 'perhaps': must be true or false"),
    ],
)
def test_invalid_target_is_reported(change: dict[str, str], error: str) -> None:
    with pytest.raises(DeliveryRefusedError, match=f"mine.env: {error}$"):
        target_of("mine", PAIRS | change, "mine.env")


@pytest.mark.parametrize("address", ["ssh://git@git.example.com/m.git", "git@git.example.com:m.git", "https://g/m@v1"])
def test_user_name_in_an_address_is_allowed(address: str) -> None:
    assert target_of("mine", PAIRS | {REPOSITORY: address}, "mine.env")


def test_pairs_are_read_line_by_line() -> None:
    assert read_pairs("# one\n\nA=1=2\nB_2= x y \n  # two\n", "f") == {"A": "1=2", "B_2": "x y"}
    for text, error in (
        ("A", "line 1: 'A' is not KEY=value"),
        ("a=1", "is not KEY=value"),
        ("A=1\nA=2", "A is repeated"),
    ):
        with pytest.raises(DeliveryRefusedError, match=error):
            read_pairs(text, "f")


def test_unknown_setting_is_rejected() -> None:
    with pytest.raises(DeliveryRefusedError, match="no such setting: CLOUDSEG_GPU;"):
        require_settings({"CLOUDSEG_GPU": "1"}, IMAGE)
