"""State dicts that would run code in a careless `torch.load` do not run any in the engine."""

import contextlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.engine.network.loading import load_network
from tests.support.archives import members, packed, saved
from tests.support.lab import model_ref, state_bytes, tiny_unet, unet_params

PLAIN = state_bytes(tiny_unet())


class Create:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def _tar(value: object) -> bytes:
    """Return a file as PyTorch before 0.1.10 wrote it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(0, protocol=2) if name != "pickle" else pickle.dumps(value, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _legacy(value: object) -> bytes:
    """Return a file as PyTorch before 1.6 wrote it."""
    header = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    return b"".join(pickle.dumps(part, protocol=2) for part in (*header, value, []))


def _script(value: object) -> bytes:
    """Return a file that torch.load passes on to torch.jit.load."""
    return packed({**members(saved(value)), "constants.pkl": pickle.dumps((), protocol=2), "code/a.py": b""})


def _second(value: object) -> bytes:
    """Return an archive whose second list of tensors is hostile."""
    return packed(members(PLAIN), ("data.pkl", pickle.dumps(value, protocol=2)))


def _other_case(value: object) -> bytes:
    """Return an archive with a list of tensors that some readers take for the real one."""
    return packed({"DATA.PKL": pickle.dumps(value, protocol=2), **members(PLAIN)})


HOSTILE: list[Callable[[object], bytes]] = [saved, _tar, _legacy, _script, _second, _other_case]


@pytest.mark.parametrize("make", HOSTILE)
def test_a_hostile_state_dict_runs_nothing(tmp_path: Path, make: Callable[[object], bytes]) -> None:
    hostile = make({"stem.0.weight": Create(tmp_path / "ran")})
    refused = contextlib.suppress(ModelLoadError) if make in (_second, _other_case) else pytest.raises(ModelLoadError)
    with refused:
        load_network(model_ref(hostile, unet_params()), hostile, torch.device("cpu"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [saved, _legacy])
def test_these_files_run_code_where_torch_load_is_careless(tmp_path: Path, make: Callable[[object], bytes]) -> None:
    torch.load(io.BytesIO(make({"stem.0.weight": Create(tmp_path / "ran")})), weights_only=False)
    assert (tmp_path / "ran").exists()
