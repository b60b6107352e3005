"""Zip archives as PyTorch writes them, and others, without PyTorch."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile


def members(program: bytes) -> dict[str, bytes]:
    """Return the members of an archive, by their names without the top folder."""
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def packed(
    content: dict[str, bytes], *more: tuple[str, bytes], root: str = "archive/", method: int = zipfile.ZIP_STORED
) -> bytes:
    """Return an archive of these members, followed by further ones, which may have the same names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, data in (*content.items(), *more):
            archive.writestr(zipfile.ZipInfo(root + name), data, method)
    return stream.getvalue()


def saved(value: object) -> bytes:
    """Return what torch.save would write for a value without tensors."""
    return packed({"data.pkl": pickle.dumps(value, protocol=2), "byteorder": b"little", "version": b"3\n"})


def plain_program(*targets: str) -> bytes:
    """Return an exported program without tensors that calls these operators; PyTorch could not run it."""
    graph = {"nodes": [{"target": target, "inputs": [], "outputs": [], "metadata": {}} for target in targets]}
    return described_program({"graph_module": {"graph": graph}})


def described_program(description: object) -> bytes:
    """Return an exported program without tensors that has this description, JSON if it is a text."""
    empty = b'{"config": {}}'
    text = description if isinstance(description, str) else json.dumps(description)
    return packed(
        {
            "data/weights/model_weights_config.json": empty,
            "data/constants/model_constants_config.json": empty,
            "models/model.json": text.encode(),
            "data/sample_inputs/model.pt": b"",
            "archive_format": b"pt2",
            "archive_version": b"0",
        }
    )
