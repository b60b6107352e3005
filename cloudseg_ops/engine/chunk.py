"""Segments one chunk: skips images that have a proof, runs the pipeline over the rest, and writes the results file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, CloudsegError, DecoderMissingError
from cloudseg_ops.contracts.results import ChunkSummary, Outcome
from cloudseg_ops.engine.io.items import Item
from cloudseg_ops.engine.io.proofs import Proofs
from cloudseg_ops.engine.network.reference import read_model_ref
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.progress import ProgressReporter
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from cloudseg_ops.engine.scheduling.status_writer import StatusWriter
from cloudseg_ops.engine.scheduling.worklist import Worklist
from cloudseg_ops.storage import PAGE_SIZE, Store

if TYPE_CHECKING:
    from cloudseg_ops.engine.network.model_loader import OnLoaded

_log = logging.getLogger(__name__)


def run_chunk(options: EngineOptions, store: Store, stop: Stop, *, on_loaded: OnLoaded | None = None) -> ChunkSummary:
    """Segment a chunk, and write its results file even if that fails.

    Args:
        options: The engine's options.
        store: Cloud Storage.
        stop: The request to stop.
        on_loaded: Called with the loaded model, unless every image has its proof already.

    Returns:
        The summary that was written with the results.

    Raises:
        ChunkUnfinishedError: Images are unaccounted for; the results file contains the others.
        CloudsegError: The same, and a retry cannot fix it: the class is that of the images' error. Or
            the chunk could not be started, or its results could not be written.
    """
    started = time.time()
    with ThreadPoolExecutor(1) as executor:
        # Both reads take a round trip or two, so they run concurrently.
        reading = executor.submit(read_model_ref, store, options.model)
        worklist = Worklist(store.read_lines(options.chunk))
        ref = reading.result()
    with worklist, ResultLog(worklist.total) as result_log:
        proofs = Proofs(store, options.input.bucket, options.output.bucket, ref.digest)
        items = _pending(worklist, proofs, result_log)
        status_writer = StatusWriter(store, options.progress, result_log, options.progress_seconds)
        try:
            with status_writer, ProgressReporter(result_log, options.progress_seconds):
                if first := next(items, None):
                    # Imported here, because a chunk that is done already needs neither torch nor threads.
                    from cloudseg_ops.engine.session import segment

                    rest = chain([first], items)
                    segment(options, store, stop, ref=ref, result_log=result_log, items=rest, on_loaded=on_loaded)
        except BaseException:
            stop.begin_work()
            _save_results(options, store, result_log, started)
            status_writer.settle()
            raise
        stop.begin_work()
        summary = _write_results(options, store, result_log, started)
        status_writer.settle()
        if not result_log.complete:
            raise _unfinished(options, result_log, stop)
        return summary


def _pending(worklist: Worklist, proofs: Proofs, result_log: ResultLog) -> Iterator[Item]:
    """Stream the images to segment, and record those that already have a proof in the result log."""
    sources = iter(worklist)
    executor = ThreadPoolExecutor(1, "proofs")

    def look_up() -> list[Item]:
        page = list(islice(sources, PAGE_SIZE))
        seen = proofs.look_up([source for _, source in page])
        return [Item(index, source, evidence) for (index, source), evidence in zip(page, seen, strict=True)]

    try:
        # The next page is looked up while this one is processed.
        upcoming = executor.submit(look_up)
        while page := upcoming.result():
            upcoming = executor.submit(look_up)
            for item in page:
                if result := proofs.judge(item.source, item.seen):
                    result_log.record(item.index, item.source, result)
                else:
                    yield item
    finally:
        # After a stop, do not wait for a page that will not be processed.
        executor.shutdown(wait=False, cancel_futures=True)


def _save_results(options: EngineOptions, store: Store, result_log: ResultLog, started: float) -> None:
    """Write the results so far after a failure; log an error instead of raising, so as not to hide that failure."""
    try:
        _write_results(options, store, result_log, started)
    except CloudsegError as error:
        _log.warning("the results so far could not be written to %s: %s", options.results, error)


def _write_results(options: EngineOptions, store: Store, result_log: ResultLog, started: float) -> ChunkSummary:
    summary = ChunkSummary(started, time.time(), result_log.total, result_log.complete, options.asked)
    store.write_lines(options.results, result_log.lines(), metadata=summary.to_metadata())
    return summary


def _unfinished(options: EngineOptions, result_log: ResultLog, stop: Stop) -> CloudsegError:
    pending = result_log.total - result_log.accounted
    if result_log.refused_all:
        return ChunkUnfinishedError(
            f"{options.chunk}: Cloud Storage refused to return every photograph that was requested, the first with: "
            f"{result_log.first_refusal}; nothing is lost: run the chunk again when the identity may read INPUT"
        )
    failures = result_log.first_failures
    why = "stopped on request" if stop.requested else "gave up" if result_log.gives_up else "ended"
    named = "; ".join(f"{source.name}: {type(error).__name__}: {error}" for source, error in failures)
    found = f"{options.chunk}: {why} with {pending} of {result_log.total} images unaccounted for, of which"
    if failures and result_log.is_permanent and not stop.requested:
        source, error = failures[0]
        counts = result_log.counts()
        masked = counts.get(Outcome.DONE, 0) + counts.get(Outcome.SKIPPED, 0)
        others = f"{masked} others succeeded" if masked else "no other succeeded"
        if not masked and not isinstance(error, DecoderMissingError):
            others += ", so the model is probably the cause"
        kind = type(error) if isinstance(error, CloudsegError) else ChunkUnfinishedError
        return kind(
            f"{found} {result_log.failed} failed in a way that a retry cannot fix; {others}. The first is "
            f"{source.name}: {error}. Nothing is lost: these images stay in the input bucket"
        )
    return ChunkUnfinishedError(
        f"{found} {result_log.failed} failed{f' ({named})' if named else ''}; nothing is lost: run the chunk again"
    )
