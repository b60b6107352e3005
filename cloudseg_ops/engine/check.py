"""`python -m cloudseg_ops.engine.check`: segment a chunk whose buckets are folders, and write down what happened.

It is the engine of a run, from reading the model to writing the results, so that a model is refused here as it would be
there. Only Cloud Storage is replaced, by `FolderStore`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudseg_ops.contracts.check_facts import CheckFacts, PassShape
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.provenance import MASK_SUFFIX
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.cli import exit_status
from cloudseg_ops.engine.memory.process_memory import postpone_gc, tune_malloc
from cloudseg_ops.engine.process.logs import set_up_logging
from cloudseg_ops.engine.process.options import EngineOptions, parse_options, usable_cpus
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.storage.folder_store import FolderStore

if TYPE_CHECKING:
    from cloudseg_ops.engine.images.decode import DecodedImage
    from cloudseg_ops.engine.network.network import Network


class _MaskCountingStore(FolderStore):
    """Remembers how many masks were written, and when the last one was."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__(folders)
        self.masks = 0
        self.last_mask = 0.0

    def write(self, uri: GcsUri, data: bytes, **how: Any) -> ObjectInfo:
        info = super().write(uri, data, **how)
        if uri.name.endswith(MASK_SUFFIX):
            self.masks += 1
            self.last_mask = time.monotonic()
        return info


class _Observer:
    """Compares precisions when the model is loaded, and records the shapes of forward passes."""

    def __init__(self, store: FolderStore, options: EngineOptions) -> None:
        self._store = store
        self._options = options
        self._lock = threading.Lock()
        self._shapes: Counter[tuple[str, str]] = Counter()
        self.facts = CheckFacts()
        self.ready = 0.0

    def loaded(self, exact: Network, network: Network, images: Sequence[DecodedImage]) -> None:
        from cloudseg_ops.engine.network.precision import compare_bf16
        from cloudseg_ops.engine.network.reference import read_model_ref

        ref = read_model_ref(self._store, self._options.model)
        # Where the CPU is not faster in bfloat16, too: a run's machines may be.
        compared, agreement = compare_bf16(ref, exact, images) or ("", None)
        self.facts = CheckFacts(
            device=network.device.type,
            cpus=self._options.threads or usable_cpus(),
            precision=network.precision,
            compared=compared,
            agreement=agreement,
        )
        # After the comparison, whose passes a run does not have.
        for one in {id(one): one for one in (exact.forward, network.forward)}.values():
            one.register_forward_hook(self._record)
        self.ready = time.monotonic()

    def _record(self, _: Any, inputs: tuple[Any, ...], output: Any) -> None:
        with self._lock:
            self._shapes[_shape(inputs[0]), _shape(output)] += 1

    def shapes(self) -> tuple[PassShape, ...]:
        return tuple(PassShape(given, found, passes) for (given, found), passes in self._shapes.most_common())


def _shape(found: Any) -> str:
    """Return the shape of a tensor, or of each tensor in a dict or sequence."""
    if hasattr(found, "shape"):
        return " × ".join(map(str, found.shape))
    if isinstance(found, Mapping):
        return ", ".join(f"{name}: {_shape(value)}" for name, value in found.items())
    if isinstance(found, Sequence):
        return ", ".join(map(_shape, found))
    return type(found).__name__


def main(arguments: Sequence[str]) -> int:
    """Run a check, and write its facts, even if it fails.

    Args:
        arguments: `--bucket NAME=FOLDER` for each bucket, `--facts FILE`, and the engine's own options.

    Returns:
        The exit status of the engine: see `cloudseg_ops.engine.cli.main`.
    """
    parser = argparse.ArgumentParser(prog="python -m cloudseg_ops.engine.check", allow_abbrev=False)
    parser.add_argument("--bucket", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--facts", type=Path, required=True)
    own, others = parser.parse_known_args(arguments)
    # Helper processes would connect to Cloud Storage.
    options = replace(parse_options(others), io_processes=0)
    set_up_logging(options.log_format)
    store = _MaskCountingStore({name: Path(folder) for name, _, folder in (text.partition("=") for text in own.bucket)})
    observer = _Observer(store, options)
    began = time.monotonic()
    stop = Stop()

    def work() -> None:
        from cloudseg_ops.engine.chunk import run_chunk

        run_chunk(options, store, stop, on_loaded=observer.loaded)

    try:
        return exit_status(work, stop)
    finally:
        took = store.last_mask - observer.ready
        facts = replace(
            observer.facts,
            shapes=observer.shapes(),
            load_seconds=max(0.0, observer.ready - began),
            images_per_second=store.masks / took if store.masks and took > 0 else None,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            gpu_peak_bytes=_gpu_peak(observer.facts.device),
        )
        own.facts.write_text(facts.to_json(), "utf-8")


def _gpu_peak(device: str) -> int | None:
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_reserved())


if __name__ == "__main__":
    tune_malloc()
    postpone_gc()
    sys.exit(main(sys.argv[1:]))
