"""Helpers shared by the engine's tests: pictures, a tiny model, and a chunk in the emulator's buckets."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import torch
from PIL import Image

from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef, model_digest
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import MaskProvenance, mask_name
from cloudseg_ops.contracts.results import ChunkSummary, Result
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.chunk import run_chunk
from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.storage import ObjectInfo, Store
from tests.conftest import Buckets
from tests.support.pixels import encoded as encoded  # noqa: PLC0414  re-exported, as is the next one
from tests.support.pixels import noise as noise  # noqa: PLC0414

_models = count()


def picture(width: int = 40, height: int = 30, image_format: str = "PNG", seed: int = 0) -> bytes:
    return encoded(Image.fromarray(noise(width, height, seed=seed)), image_format)


def unet_params(n_classes: int = 1, in_channels: int = 3, **more: Any) -> ModelParams:
    names = ("clear sky", "cloud", "sun", "ground", "rain")[: max(2, n_classes)]
    return ModelParams.model_validate(
        {
            "architecture": "unet",
            "in_channels": in_channels,
            "n_classes": n_classes,
            "arguments": {"width": 4, "depth": 2},
            "classes": names,
            **more,
        }
    )


def tiny_unet(n_classes: int = 1, in_channels: int = 3, typical: torch.Tensor | None = None) -> UNet:
    """Build a U-Net whose batch norms have statistics of some data, so that mistakes in folding them show.

    Its classes are about equally frequent on images like `typical`, by default unnormalized noise.
    """
    torch.manual_seed(0)
    typical = torch.rand(4, in_channels, 32, 32) if typical is None else typical
    network = UNet(in_channels, n_classes, width=4, depth=2)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(typical)
        network.eval()
        assert network.head.bias is not None
        network.head.bias.zero_()
        network.head.bias -= network(typical).mean(dim=(0, 2, 3))
    return network


def overflowing_unet() -> UNet:
    """Build a U-Net with finite weights and infinite logits."""
    network = tiny_unet()
    with torch.no_grad():
        network.merge[-1][4].bias.fill_(100.0)  # type: ignore[index]
        network.head.weight.fill_(3e38)
    return network


def state_bytes(network: torch.nn.Module) -> bytes:
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    return stream.getvalue()


def model_ref(weights: bytes, params: ModelParams, uri: str = "gs://nowhere/weights.pt") -> ModelRef:
    md5 = hashlib.md5(weights, usedforsecurity=False).hexdigest()
    return ModelRef(
        revision="v1",
        commit="c" * 40,
        repository="https://example.org/registry.git",
        md5=md5,
        uri=uri,
        digest=model_digest(md5, params),
        params=params,
    )


@dataclass
class Lab:
    """A chunk to be segmented."""

    store: Store
    buckets: Buckets
    options: EngineOptions
    ref: ModelRef

    @classmethod
    def open(cls, store: Store, buckets: Buckets) -> Lab:
        staging = GcsUri(buckets.staging)
        options = EngineOptions(
            chunk=staging / "chunks/00003.jsonl",
            model=staging / "model.json",
            input=GcsUri(buckets.input),
            output=GcsUri(buckets.output),
            results=staging / "results/00003.jsonl",
            run_id="run-1",
            chunk_index=3,
            batch=4,
            downloads=4,
            uploads=4,
            precision="fp32",
        )
        lab = cls(store, buckets, options, model_ref(b"", unet_params()))
        lab.use_model(state_bytes(tiny_unet()), unet_params())
        return lab

    def hold_mask(self, name: str) -> None:
        """Put an object that is not a mask, under a hold, where the mask of an input belongs."""
        self.store.write(GcsUri(self.buckets.output, mask_name(name)), b"kept")
        blob = self.store._client.bucket(self.buckets.output).blob(mask_name(name))
        blob.temporary_hold = True
        blob.patch()

    def use_model(self, weights: bytes, params: ModelParams) -> None:
        """Stage a model."""
        uri = GcsUri(self.buckets.staging, f"models/{next(_models)}/weights.pt")
        self.ref = model_ref(weights, params, str(uri))
        self.store.write(uri, weights)
        self.store.write(self.options.model, json.dumps(self.ref.to_json()).encode())

    def put(self, name: str, data: bytes) -> InputObject:
        """Upload a photograph."""
        info = self.store.write(GcsUri(self.buckets.input, name), data)
        return InputObject(info.name, info.generation, info.size, info.crc32c)

    def put_many(self, number: int, size: tuple[int, int] = (40, 30)) -> list[InputObject]:
        return [self.put(f"sky/{index:03}.png", picture(*size, seed=index)) for index in range(number)]

    def write_chunk(self, sources: Sequence[InputObject]) -> None:
        self.store.write_lines(self.options.chunk, (source.to_line() for source in sources))

    def set(self, **changes: Any) -> None:
        self.options = replace(self.options, **changes)

    def results(self) -> list[Result]:
        return [Result.from_line(line) for line in self.store.read_lines(self.options.results)]

    def outcomes(self) -> dict[str, str]:
        return {result.source.name: str(result.outcome) for result in self.results()}

    def summary(self) -> ChunkSummary:
        info = self.store.stat(self.options.results)
        assert info
        summary = ChunkSummary.from_metadata(info.metadata)
        assert summary
        return summary

    def mask(self, name: str) -> Image.Image:
        data = self.store.read(GcsUri(self.buckets.output, mask_name(name)))
        image = Image.open(io.BytesIO(data))
        image.load()
        return image

    def mask_info(self, name: str) -> ObjectInfo | None:
        return self.store.stat(GcsUri(self.buckets.output, mask_name(name)))

    def provenance(self, name: str) -> MaskProvenance:
        info = self.mask_info(name)
        assert info
        provenance = MaskProvenance.from_metadata(info.metadata)
        assert provenance
        return provenance

    def arguments(self, **more: str) -> list[str]:
        """Return the command line for these options."""
        o = self.options
        given: Mapping[str, str] = {
            "--chunk": str(o.chunk),
            "--model": str(o.model),
            "--input": str(o.input),
            "--output": str(o.output),
            "--results": str(o.results),
            "--run-id": o.run_id,
            **more,
        }
        return [part for pair in given.items() for part in pair]


def run(lab: Lab) -> ChunkSummary:
    return run_chunk(lab.options, lab.store, Stop())
