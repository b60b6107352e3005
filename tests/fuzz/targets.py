"""What is fuzzed, with seeds. A target may return, or raise one of the exceptions that it names; nothing else."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from cloudseg_ops.contracts.chunk_status import ChunkStatus, parse_progress_line
from cloudseg_ops.contracts.engine_failure import permanent_failure
from cloudseg_ops.contracts.errors import (
    BadImageError,
    DecoderMissingError,
    ManifestError,
    ModelLoadError,
    ModelParamsError,
)
from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef, model_digest
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.photographs import explain_unidentified, readable_formats
from cloudseg_ops.contracts.provenance import MaskProvenance, Source
from cloudseg_ops.contracts.results import ChunkSummary, Outcome, Result
from cloudseg_ops.contracts.tiff_pages import read_pages
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.gallery.decoding import decode_mask, decode_photograph
from cloudseg_ops.gallery.errors import NotShownError
from cloudseg_ops.gallery.results_file import parse_line
from cloudseg_ops.report.reading import safe_result
from cloudseg_ops.runs.chunk_plan import Chunk, parse_plan
from cloudseg_ops.runs.run_plan import parse_dry_run
from tests.fuzz.weights import fuzz_section, fuzz_weights, sections, weights_files
from tests.support.odd_files import NOT_PHOTOGRAPHS, SEVERAL_PHOTOGRAPHS, SINGLE_PHOTOGRAPHS, UNREADABLE_TIFFS
from tests.support.pixels import encoded, noise
from tests.support.tiffs import planes, tiff

MAX_PIXELS = 1_000_000
COMPRESSIONS = ("tiff_lzw", "tiff_deflate", "jpeg", "packbits", "zstd")
SOURCE = InputObject("sky/ü.jpg", 1_788_000_000_000_001, 1234, "AAAAAA==")


_SECTION: dict[str, Any] = {
    "architecture": "unet",
    "in_channels": 3,
    "n_classes": 1,
    "arguments": {"width": 8, "depth": 2},
    "classes": ["clear sky", "cloud"],
    "max_side": 512,
}


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes:
        run: Called with the bytes.
        raises: Exceptions that are right.
        seeds: Makes inputs from which others are derived.
    """

    run: Callable[[bytes], object]
    raises: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]


def _decode(data: bytes) -> None:
    for max_side in (None, 16):
        image = decode(data, 3, MAX_PIXELS, max_side=max_side)
        assert image.pixels.shape == (image.height, image.width, 3)
        assert image.range_used is None or 0 <= image.range_used <= 1 / 8
        assert float(image.pixels.min()) >= 0
        assert float(image.pixels.max()) <= (255 if image.pixels.dtype == np.uint8 else 1)


def _bands(data: bytes) -> None:
    for channels, scale in ((4, None), (3, 4095.0)):
        with contextlib.suppress(BadImageError):
            image = decode(data, channels, MAX_PIXELS, scale=scale)
            assert image.pixels.shape == (image.height, image.width, channels)


def _show(data: bytes) -> None:
    picture = decode_photograph(data, 64)
    assert picture.mode == "RGB"
    assert max(picture.size) <= 64


def _explain(data: bytes) -> None:
    assert 10 < len(explain_unidentified(data).reason) < 300
    assert all(page.bits >= 0 for page in read_pages(data))


def _failure(data: bytes) -> None:
    found = permanent_failure(data.decode("utf-8", "replace").split("\n"), "pod")
    assert found is None or str(found).startswith("pod: ")


def _input_line(data: bytes) -> None:
    source = InputObject.from_line(data.decode("utf-8", "surrogatepass"))
    assert InputObject.from_line(source.to_line()) == source


def _result_line(data: bytes) -> None:
    parse_line(data)
    result = safe_result(Result.from_line(data.decode("utf-8", "replace")))
    result.to_line().encode()


def _metadata(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").split("\n")
    metadata = {key: value for key, _, value in (line.partition("=") for line in lines)}
    for record in (MaskProvenance, Source, ChunkSummary, ChunkStatus):
        found = record.from_metadata(metadata)
        assert found is None or record.from_metadata(found.to_metadata()) is not None


def _metadata_lines(metadata: Mapping[str, str]) -> bytes:
    return "\n".join(f"{key}={value}" for key, value in metadata.items()).encode()


def _model(data: bytes) -> None:
    ref = ModelRef.parse(data, "model.json")
    model_digest(ref.md5, ref.params)
    assert ModelRef.from_json(ref.to_json()).digest == ref.digest


@cache
def photographs() -> list[bytes]:
    """Small photographs of every format and kind, and the odd files."""
    color, grey = Image.fromarray(noise(16, 12)), Image.fromarray(noise(16, 12, 1))
    deep = Image.fromarray(noise(16, 12, 1).astype(np.uint16) * 257)
    seeds = [encoded(color, name) for name in readable_formats() if name != "HEIF"]
    seeds += [encoded(grey, name) for name in ("JPEG", "PNG", "TIFF", "BMP")]
    seeds += [encoded(color.convert(mode), "PNG") for mode in ("P", "RGBA", "1", "L")]
    seeds += [
        encoded(color, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits", "zstd")
    ]
    seeds += [encoded(color.convert("CMYK"), name) for name in ("JPEG", "TIFF")]
    seeds += [encoded(deep, "PNG"), encoded(deep, "TIFF"), encoded(color, "JPEG", progressive=True)]
    seeds += [encoded(color, "MPO", save_all=True, append_images=[color]), encoded(color, "WEBP", lossless=True)]
    odd = [data for data, _ in (*NOT_PHOTOGRAPHS.values(), *UNREADABLE_TIFFS.values())]
    return [*seeds, *odd, *SINGLE_PHOTOGRAPHS.values(), *list(SEVERAL_PHOTOGRAPHS.values())[:3]]


def _banded() -> list[bytes]:
    wide = np.dstack([noise(16, 12)] * 2)[..., :4]
    pages = [(wide, {}), planes(wide), (wide.astype(np.uint16), {317: 2}), (wide[..., :3].astype(np.uint16), {})]
    return [tiff(page, order=order) for page in pages for order in ("<", ">")]


def _masks() -> list[bytes]:
    mask = Image.fromarray(noise(16, 12, 1) % 3)
    mask.putpalette(bytes(9))
    return [encoded(mask, "PNG", bits=8), encoded(mask, "PNG")]


def _results() -> list[bytes]:
    results = [Result(SOURCE, Outcome.DONE, "a.mask.png", 0.25, None, 1.5, 0.0625), Result(SOURCE, Outcome.CHANGED)]
    return [result.to_line().encode() for result in results]


def _records() -> list[bytes]:
    source = Source("in", "sky/ü.jpg", 17, "AAAAAA==")
    provenance = MaskProvenance(source, "v1", "c" * 40, "a" * 32, "d" * 32, 0.5, "run", "0.1.0", 0.0625)
    records = (provenance, ChunkSummary(1.5, 2.5, 3, complete=True), ChunkStatus(1, 2, 3.5, ended=False))
    return [_metadata_lines(record.to_metadata()) for record in records]


def _models() -> list[bytes]:
    params = ModelParams.model_validate({**_SECTION, "normalize": {"mean": (0.5,) * 3, "std": (0.5,) * 3}})
    ref = ModelRef(
        revision="v1", commit="c" * 40, repository="r", md5="a" * 32, uri="gs://s/m", digest="d" * 32, params=params
    )
    return [json.dumps(ref.to_json()).encode()]


_CHUNKS = [Chunk(0, "gs://s/chunks/00000.jsonl", 5, 60), Chunk(1, "gs://s/chunks/00001.jsonl", 1, 2)]
_PLAN = json.dumps([asdict(chunk) for chunk in _CHUNKS]).encode()
TARGETS: dict[str, Target] = {
    "decode": Target(_decode, (BadImageError, DecoderMissingError), photographs),
    "bands": Target(_bands, (DecoderMissingError,), _banded),
    "gallery": Target(_show, (NotShownError,), photographs),
    "explain": Target(_explain, (), photographs),
    "mask": Target(lambda data: decode_mask(data, 64), (NotShownError,), _masks),
    "input line": Target(_input_line, (ManifestError, UnicodeDecodeError), lambda: [SOURCE.to_line().encode()]),
    "result line": Target(_result_line, (ManifestError,), _results),
    "metadata": Target(_metadata, (), _records),
    "chunk plan": Target(lambda data: parse_plan(data, "plan.json"), (ManifestError,), lambda: [_PLAN]),
    "plan": Target(lambda data: parse_dry_run(data, "plan.json"), (ManifestError,), lambda: [b'{"dry_run": true}']),
    "model": Target(_model, (ManifestError,), _models),
    "params": Target(fuzz_section, (ModelParamsError, ModelLoadError), sections),
    "weights": Target(fuzz_weights, (ModelParamsError, ModelLoadError), weights_files),
    "failure": Target(_failure, (), lambda: [b'{"message": "ModelLoadError: x"}\nstopped', b"1 DeviceError: lost"]),
    "log line": Target(
        lambda data: parse_progress_line(data.decode("utf-8", "replace")),
        (),
        lambda: [b"12:00 INFO progress: 3 of 40 images, 1.5 images/s", b"summary: 40 of 40 images, 2.0 images/s"],
    ),
}
