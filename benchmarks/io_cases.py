"""The cases of the I/O benchmark: sizes, latencies and clients."""

import argparse
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.emulator import INPUT, Emulator
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.engine.images.masks import encode_mask
from cloudseg_ops.storage import Store

_SIDES = {50_000: 256, 5_000_000: 2560}


@dataclass(frozen=True)
class Case:
    """One row: the data to transfer, and the parallelism.

    Attributes:
        size: Bytes of an input.
        mask: Bytes of a mask, if none is computed.
        latency: Delay of every request in the emulator, seconds.
        threads: Threads over all processes; each transfers one image at a time.
        processes: Client processes.
        count: Images.
        decode: Whether images are JPEGs that are decoded, and masks PNGs that are encoded.
    """

    size: int
    mask: int
    latency: float
    threads: int
    processes: int
    count: int
    decode: bool


@dataclass(frozen=True)
class Measured:
    """The cost of a case, in wall-clock and CPU seconds."""

    seconds: float
    client_cpu: float
    server_cpu: float
    requests: int

    def row(self, case: Case) -> dict[str, float]:
        return {
            "images_per_second": case.count / self.seconds,
            "requests_per_second": self.requests / self.seconds,
            "megabytes_per_second": case.count * case.size / self.seconds / 1e6,
            "client_cpu_ms_per_request": 1000 * self.client_cpu / self.requests,
            "server_cpu_ms_per_request": 1000 * self.server_cpu / self.requests,
        }


def photograph(size: int) -> bytes:
    """Return a JPEG of sky with noise, of about the given number of bytes."""
    side = _SIDES.get(size, 256)
    rng = np.random.default_rng(size)
    slope = np.linspace(80, 200, side)[:, None, None]
    pixels = np.clip(slope + rng.normal(0, 25, (side, side, 3)), 0, 255).astype(np.uint8)
    best = b""
    for quality in (95, 90, 80, 70, 50, 30):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
        best = stream.getvalue()
        if len(best) <= size:
            break
    return best


def as_mask(data: bytes) -> bytes:
    """Decode an image, and return an encoded mask of its size."""
    image = decode(data, 3, 1 << 30)
    # Blocks, because a network's masks are smooth, while noise compresses worst.
    clouds = (image.pixels[::16, ::16, 0] > 140).astype(np.uint8)
    return encode_mask(np.repeat(np.repeat(clouds, 16, 0), 16, 1), 2)


def upload(store: Store, case: Case) -> list[InputObject]:
    """Return the inputs of a case, each a separate object."""
    data = photograph(case.size) if case.decode else os.urandom(case.size)
    inputs = []
    for number in range(case.count):
        info = store.write(GcsUri(INPUT, f"{case.size}-{case.decode}/{number:06d}.jpg"), data)
        inputs.append(InputObject(info.name, info.generation, info.size, info.crc32c))
    return inputs


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Return all requested combinations."""
    for size in options.sizes:
        for latency in options.latencies:
            for processes in options.processes:
                for threads in options.threads:
                    if threads < processes:
                        continue
                    count = options.count or (600 if size <= 1_000_000 else 60)
                    # One image at a time waits for every response, so fewer images are enough.
                    count = min(count, 20 * threads) if latency else count
                    yield Case(size, options.mask, latency, threads, processes, count, options.decode)


def reset_inputs(emulator: Emulator, case: Case) -> list[InputObject]:
    """Upload the inputs of a case without latency, then set its latency."""
    emulator.set_latency(0)
    inputs = upload(emulator.store, case)
    emulator.set_latency(case.latency)
    return inputs
