"""The `cloudseg` command: its version, arguments and exit codes."""

import subprocess
import sys

import pytest

from cloudseg_ops import __version__
from cloudseg_ops.cli.commands import main

Output = pytest.CaptureFixture[str]


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.delenv("CLOUDSEG_IMAGE", raising=False)
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"cloudseg {__version__}\n"


DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "code", "expected"),
    [
        (f"host/engine:{__version__}-abc1234{DIGEST}", 0, [f"image {__version__} (host/engine:{__version__}-abc1234"]),
        (f"host/engine{DIGEST}", 0, ["image of unknown version (host/engine@"]),
        (f"host/engine:99.0.0{DIGEST}", 1, ["image 99.0.0 (", "NOT COMPATIBLE"]),
    ],
)
def test_version_of_the_image(
    image: str, code: int, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("CLOUDSEG_IMAGE", image)
    assert main(["version"]) == code
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"cloudseg {__version__}"
    assert len(rest) == len(expected)
    assert all(line.startswith(words) for line, words in zip(rest, expected, strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["nonesuch"], ["audit", "--run"], ["version", "--json"],
        ["pool", "--slots", "0"], ["pool", "--slots", "-1"], ["pool", "--slots", "two"],
    ],
)  # fmt: skip
def test_invalid_arguments_print_the_usage(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: cloudseg" in capsys.readouterr().err


def test_exit_code_reaches_the_shell() -> None:
    command = [sys.executable, "-m", "cloudseg_ops.cli", "audit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("cloudseg: no run given")
