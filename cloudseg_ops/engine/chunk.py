"""One chunk from start to end: what is proven already, the pipeline over the rest, the results file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from cloudseg_ops.engine.ledger import Ledger
from cloudseg_ops.engine.options import EngineOptions
from cloudseg_ops.engine.progress import ProgressReporter
from cloudseg_ops.engine.proofs import Proofs
from cloudseg_ops.engine.publish import Publisher
from cloudseg_ops.engine.reference import read_model_ref, read_weights
from cloudseg_ops.engine.stopping import Stop
from cloudseg_ops.errors import ChunkUnfinishedError, CloudsegError
from cloudseg_ops.models import ModelRef
from cloudseg_ops.objects import InputObject
from cloudseg_ops.proof import Evidence
from cloudseg_ops.results import ChunkSummary
from cloudseg_ops.storage import Store

_NAMED = 5
"""How many unaccounted images a message names."""

_log = logging.getLogger(__name__)


def run_chunk(options: EngineOptions, store: Store, stop: Stop) -> ChunkSummary:
    """Segment a chunk and write its results file, however it ends.

    Args:
        options: What to do.
        store: Cloud Storage.
        stop: Where a request to stop arrives.

    Raises:
        ChunkUnfinishedError: Images are unaccounted for; the results file holds the others.
        CloudsegError: It could not begin, or not write its results.
    """
    started = time.time()
    ledger = Ledger([InputObject.from_line(line) for line in store.read_lines(options.chunk) if line.strip()])
    ref = read_model_ref(store, options.model)
    proofs = Proofs(store, options.input.bucket, options.output.bucket, ref.digest)
    seen = proofs.look(ledger.sources)
    for source, present in seen.items():
        if result := proofs.judge(source, present):
            ledger.record(source, result)
    try:
        with ProgressReporter(ledger, options.progress_seconds):
            if not ledger.complete:
                _segment(options, store, stop, ref=ref, proofs=proofs, seen=seen, ledger=ledger)
    except BaseException:
        stop.begin_work()
        _save_results(options, store, ledger, started)
        raise
    stop.begin_work()
    summary = _write_results(options, store, ledger, started)
    if not ledger.complete:
        raise _unfinished(options, ledger, stop)
    return summary


def _segment(
    options: EngineOptions,
    store: Store,
    stop: Stop,
    *,
    ref: ModelRef,
    proofs: Proofs,
    seen: Mapping[InputObject, Evidence],
    ledger: Ledger,
) -> None:
    """Load the model and run the pipeline over what is not accounted for."""
    weights = read_weights(store, ref)
    # Here and not above: torch takes seconds, and a chunk that is done already does not need it.
    from cloudseg_ops.engine.decode import check_decoders
    from cloudseg_ops.engine.pipeline import Pipeline
    from cloudseg_ops.engine.predict import Predictor
    from cloudseg_ops.engine.segmentation import Segmentation

    check_decoders()
    predictor = Predictor.load(ref, weights, threads=options.threads, precision=options.precision)
    publisher = Publisher(store, options.input.bucket, options.output.bucket, proofs)
    pipeline = Pipeline(
        Segmentation(options, store=store, ref=ref, predictor=predictor, publisher=publisher, seen=seen),
        ledger.record,
        stop,
        lambda: ledger.hopeless,
        batch=options.batch if predictor.any_batch else 1,
        downloads=options.downloads,
        uploads=options.uploads,
    )
    stop.begin_work()
    pipeline.run(ledger.pending())


def _save_results(options: EngineOptions, store: Store, ledger: Ledger, started: float) -> None:
    """Write the results so far on the way out of a failure, which is the one to be told."""
    try:
        _write_results(options, store, ledger, started)
    except CloudsegError as error:
        _log.warning("the results so far could not be written: %s", error)


def _write_results(options: EngineOptions, store: Store, ledger: Ledger, started: float) -> ChunkSummary:
    summary = ChunkSummary(started, time.time(), len(ledger.sources), ledger.complete)
    lines = "".join(result.to_line() + "\n" for result in ledger.results())
    store.write(options.results, lines.encode(), content_type="application/jsonl", metadata=summary.to_metadata())
    return summary


def _unfinished(options: EngineOptions, ledger: Ledger, stop: Stop) -> ChunkUnfinishedError:
    failures = ledger.failures()
    pending = len(ledger.pending())
    why = "stopped on request" if stop.requested else "gave up" if ledger.hopeless else "worked through"
    named = "; ".join(f"{source.name}: {type(error).__name__}: {error}" for source, error in failures[:_NAMED])
    return ChunkUnfinishedError(
        f"{options.chunk}: {why} with {pending} of {len(ledger.sources)} images unaccounted for, {len(failures)} of "
        f"them failed{f' ({named})' if named else ''}; nothing is lost: run the chunk again"
    )
