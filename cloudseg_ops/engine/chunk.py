"""One chunk from start to end: what is proven already, the pipeline over the rest, the results file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, CloudsegError
from cloudseg_ops.contracts.results import ChunkSummary
from cloudseg_ops.engine.io.items import Item
from cloudseg_ops.engine.io.proofs import Proofs
from cloudseg_ops.engine.network.reference import read_model_ref
from cloudseg_ops.engine.process.options import EngineOptions
from cloudseg_ops.engine.process.stopping import Stop
from cloudseg_ops.engine.scheduling.ledger import Ledger
from cloudseg_ops.engine.scheduling.mark_writer import MarkWriter
from cloudseg_ops.engine.scheduling.progress import ProgressReporter
from cloudseg_ops.engine.scheduling.worklist import Worklist
from cloudseg_ops.storage import PAGE_SIZE, Store

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
    with ThreadPoolExecutor(1) as aside:
        # Each costs a round trip or two: together they cost one.
        reading = aside.submit(read_model_ref, store, options.model)
        worklist = Worklist(store.read_lines(options.chunk))
        ref = reading.result()
    with worklist, Ledger(worklist.total) as ledger:
        proofs = Proofs(store, options.input.bucket, options.output.bucket, ref.digest)
        items = _pending(worklist, proofs, ledger)
        marks = MarkWriter(store, options.progress, ledger, options.progress_seconds)
        try:
            with marks, ProgressReporter(ledger, options.progress_seconds):
                if first := next(items, None):
                    # Here and not above: a chunk that is done already needs neither torch nor threads.
                    from cloudseg_ops.engine.session import segment

                    segment(options, store, stop, ref=ref, ledger=ledger, items=chain([first], items))
        except BaseException:
            stop.begin_work()
            _save_results(options, store, ledger, started)
            marks.settle()
            raise
        stop.begin_work()
        summary = _write_results(options, store, ledger, started)
        marks.settle()
        if not ledger.complete:
            raise _unfinished(options, ledger, stop)
        return summary


def _pending(worklist: Worklist, proofs: Proofs, ledger: Ledger) -> Iterator[Item]:
    """Stream the images that are to be segmented; what is proven already is entered into the ledger on the way."""
    sources = iter(worklist)
    aside = ThreadPoolExecutor(1, "proofs")

    def look() -> list[Item]:
        page = list(islice(sources, PAGE_SIZE))
        seen = proofs.look([source for _, source in page])
        return [Item(index, source, seen[source]) for index, source in page]

    try:
        # The next page is looked up while this one is worked on.
        upcoming = aside.submit(look)
        while page := upcoming.result():
            upcoming = aside.submit(look)
            for item in page:
                if result := proofs.judge(item.source, item.seen):
                    ledger.record(item.index, item.source, result)
                else:
                    yield item
    finally:
        # After a stop, nobody waits for a page that nobody will work on.
        aside.shutdown(wait=False, cancel_futures=True)


def _save_results(options: EngineOptions, store: Store, ledger: Ledger, started: float) -> None:
    """Write the results so far on the way out of a failure, which is the one to be told."""
    try:
        _write_results(options, store, ledger, started)
    except CloudsegError as error:
        _log.warning("the results so far could not be written: %s", error)


def _write_results(options: EngineOptions, store: Store, ledger: Ledger, started: float) -> ChunkSummary:
    summary = ChunkSummary(started, time.time(), ledger.total, ledger.complete, options.asked)
    store.write_lines(options.results, ledger.lines(), metadata=summary.to_metadata())
    return summary


def _unfinished(options: EngineOptions, ledger: Ledger, stop: Stop) -> ChunkUnfinishedError:
    pending = ledger.total - ledger.accounted
    why = "stopped on request" if stop.requested else "gave up" if ledger.hopeless else "worked through"
    named = "; ".join(f"{source.name}: {type(error).__name__}: {error}" for source, error in ledger.first_failures)
    return ChunkUnfinishedError(
        f"{options.chunk}: {why} with {pending} of {ledger.total} images unaccounted for, {ledger.failed} of "
        f"them failed{f' ({named})' if named else ''}; nothing is lost: run the chunk again"
    )
