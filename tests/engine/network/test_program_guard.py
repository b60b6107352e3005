"""Programs that run code when they are opened are refused by name, and nothing runs."""

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from cloudseg_ops.contracts.errors import UnsafeProgramError
from cloudseg_ops.contracts.weights_check import check_weights
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.program_guard import open_program
from tests.support.archives import members, packed
from tests.support.hostile_programs import OPENED, OTHERS
from tests.support.lab import model_ref
from tests.support.programs import exported_params

AUTO = torch.export.Dim.AUTO
FOUND = {
    "a pickle in the sample inputs": r"sample_inputs/model\.pt contains the Python object io\.open",
    "a pickle among the weights": r"weights/weight_99 contains the Python object io\.open",
    "a pickle among the constants": r"constants/tensor_99 contains the Python object io\.open",
    "a key in the sample inputs": r"sample_inputs/model\.pt .* it has other characters than",
    "an opaque object": r"opaque_obj_0",
    "an expression as a size": r"expr_str is \"__import__\('pathlib'\)",
    "an expression as a guard": r"guards_code is \"__import__\('pathlib'\)",
    "a module in the tree of outputs": r"out_spec .* names the type collections\.defaultdict; let the network return",
    "a file that is mapped": r"nodes\[0\]\.target is 'torch\.ops\.aten\.from_file\.default'",
    "the format of PyTorch 2.7": r"PyTorch 2\.7 and older",
    "a function of the standard library": r"target is 'torch\.os\.mkdir': it is outside of aten",
    "a function as an argument": r"as_operator is 'torch\.os\.system': it is outside of aten",
    "an operator of another library": r"CLOUDSEG_ALLOWED_OPERATORS does not name torchvision::nms",
    "a script object": r"custom_obj_values .* is a Python object",
    "TorchScript as sample inputs": r"its member constants\.pkl does not belong there",
    "a member twice": r"two members named data/sample_inputs/model\.pt",
    "a member in another case": r"two members named data/sample_inputs/model\.pt",
    "an archive before the program": r"its two zip directories contradict one another",
    "an archive behind the program": r"data precedes the zip archive",
    "a compressed archive": r"is compressed",
    "a compiled library": r"aotinductor/model/kernel\.so does not belong",
    "another version of the archive": r"archive_version is '1', not '0'",
    "a document that is nested too deep": r"model\.json is not JSON",
}
"""What the message says; the others say where they found something."""


class Halves(nn.Module):
    """Has a parameter, a buffer among the constants, symbolic sizes and a guard."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 1, 1)
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": nn.functional.interpolate(self.c(images) * self.scale, scale_factor=0.5)}


@pytest.fixture(scope="module")
def program() -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dims = {0: AUTO, 2: AUTO, 3: AUTO}
        found = torch.export.export(Halves().eval(), (torch.rand(2, 3, 8, 12),), dynamic_shapes=(dims,))
        torch.export.save(found, stream)
    return stream.getvalue()


@pytest.mark.parametrize("name", [*OPENED, *OTHERS])
def test_a_hostile_program_is_refused_before_it_is_opened(program: bytes, tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    hostile = {**OPENED, **OTHERS}[name](program, str(marker))
    told = rf"^model v1 .* was not opened, .*{FOUND.get(name, '')}.*; export the network again"
    with pytest.raises(UnsafeProgramError, match=told):
        load_network(model_ref(hostile, exported_params()), hostile, torch.device("cpu"))
    with pytest.raises(UnsafeProgramError):
        open_program(hostile, "the program")
    with pytest.raises(UnsafeProgramError):
        check_weights(exported_params(), io.BytesIO(hostile), "the program")
    assert list(tmp_path.iterdir()) == []


PROOF = """
import io, os, pathlib, sys, torch
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.pt2")):
    os.environ["MARKER"] = str(file.with_suffix(".ran"))
    sys.modules.pop("left_behind", None)
    try:
        torch.export.load(io.BytesIO(file.read_bytes())).module()(torch.rand(2, 3, 8, 12))
    except Exception as error:
        print(file.stem, error)
"""


@pytest.mark.slow
def test_pytorch_alone_runs_their_code(program: bytes, tmp_path: Path) -> None:
    for index, attack in enumerate(OPENED.values()):
        (tmp_path / f"{index}.pt2").write_bytes(attack(program, str(tmp_path / f"{index}.ran")))
    # A module that a tree of outputs names is imported; the attacks name one that they found.
    (tmp_path / "left_behind.py").write_text(
        "import enum, os\nopen(os.environ['MARKER'], 'w')\nclass Kind(enum.Enum):\n    ONE = 1\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORCH_FORCE")}
    command = [sys.executable, "-c", PROOF, str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env={**environment, "PYTHONPATH": str(tmp_path)})
    safe = [name for index, name in enumerate(OPENED) if not (tmp_path / f"{index}.ran").exists()]
    assert safe == []


def test_a_harmless_program_is_opened(program: bytes) -> None:
    opened = open_program(program, "the program").module()
    assert opened(torch.rand(1, 3, 10, 6))["out"].shape == (1, 1, 5, 3)
    assert open_program(packed(members(program)), "the program")


def test_pickles_are_restricted_while_pytorch_reads(
    program: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr("cloudseg_ops.engine.network.program_guard.check_program", lambda *_: None)
    hostile = OPENED["a pickle in the sample inputs"](program, str(tmp_path / "ran"))
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        open_program(hostile, "the program")
    assert list(tmp_path.iterdir()) == []
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"


def test_what_a_program_calls_is_checked_after_opening_it(
    program: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cloudseg_ops.engine.network.program_guard.check_program", lambda *_: None)
    hostile = OPENED["a file that is mapped"](program, str(tmp_path / "ran"))
    with pytest.raises(UnsafeProgramError, match=r"was not run: its node extra calls aten\.from_file\.default"):
        open_program(hostile, "the program")
    assert list(tmp_path.iterdir()) == []


def test_operators_of_another_library_need_to_be_allowed() -> None:
    torch.library.define("cloudseg_tests::twice", "(Tensor x) -> Tensor")
    torch.library.impl("cloudseg_tests::twice", "CompositeExplicitAutograd", lambda x: x * 2)
    torch.library.register_fake("cloudseg_tests::twice", torch.empty_like)

    class Twice(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = torch.ops.cloudseg_tests.twice(images)
            return found

    stream = io.BytesIO()
    torch.export.save(torch.export.export(Twice(), (torch.rand(1, 3, 4, 4),)), stream)
    with pytest.raises(UnsafeProgramError, match=r"CLOUDSEG_ALLOWED_OPERATORS does not name cloudseg_tests::twice"):
        open_program(stream.getvalue(), "the program")
    for allowed in ("cloudseg_tests::twice", "cloudseg_tests::*"):
        assert open_program(stream.getvalue(), "the program", [allowed]).module()(torch.ones(1, 3, 4, 4)).max() == 2
