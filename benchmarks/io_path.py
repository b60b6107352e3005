"""Measures the I/O cost per image: the storage layer against the emulator, without a model.

For each image, as in the engine: reads exactly one generation, and writes a mask with metadata under a precondition.
Prints images and requests per second, CPU time of client and emulator per request, and the ratio to a plain loop that
downloads, uploads and deletes one image at a time.

    python -m benchmarks.io_path
    python -m benchmarks.io_path --sizes 50000 --latencies 0.03 --threads 32 --processes 2 --decode --json
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from dataclasses import asdict
from multiprocessing.synchronize import Barrier
from typing import Any

from benchmarks.emulator import INPUT, OUTPUT, Emulator, running_emulator
from benchmarks.io_cases import Case, Measured, as_mask, cases, reset_inputs
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import MaskProvenance, Source
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

_LOOP_COUNT = 20


class Work:
    """The share of a case that one client process handles."""

    def __init__(self, case: Case, inputs: list[InputObject], threads: int, prefix: str) -> None:
        self._case = case
        self._inputs = iter(inputs)
        self._lock = threading.Lock()
        self._threads = threads
        self._prefix = prefix
        self._mask = os.urandom(case.mask)
        self._store = Store.open(connections=threads)
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Transfer every image; raise the first error."""
        threads = [threading.Thread(target=self._loop) for _ in range(self._threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def _loop(self) -> None:
        try:
            while True:
                with self._lock:
                    item = next(self._inputs, None)
                if item is None:
                    return
                self._transfer(item)
        except BaseException as error:  # noqa: BLE001  raised again by `run`
            self.failure = error

    def _transfer(self, item: InputObject) -> None:
        data = self._store.read(GcsUri(INPUT, item.name), generation=item.generation)
        mask = self._mask
        if self._case.decode:
            mask = as_mask(data)
        source = Source(INPUT, item.name, item.generation, item.crc32c)
        provenance = MaskProvenance(source, "v1", "0" * 40, "1" * 32, "2" * 32, 0.5, "bench", "0")
        self._store.write(
            GcsUri(OUTPUT, f"{self._prefix}/{item.name}.mask.png"),
            mask,
            content_type="image/png",
            metadata=provenance.to_metadata(),
            if_generation_match=0,
        )


def client(case: Case, inputs: list[InputObject], threads: int, prefix: str, barrier: Barrier, results: Any) -> None:  # noqa: PLR0917
    """Run a client process: warm up, wait for the others, work, and report the CPU seconds of the work."""
    work = Work(case, inputs, threads, prefix)
    work._store.stat(GcsUri(INPUT, "nothing"))
    barrier.wait()
    began = time.process_time()
    try:
        work.run()
        results.put(time.process_time() - began)
    except BaseException as error:
        results.put(error)
        raise


def measure(case: Case, inputs: list[InputObject], emulator: Emulator) -> Measured:
    """Run a case once."""
    prefix = f"{time.time_ns()}"
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(case.processes + 1), context.Queue()
    shares = [inputs[index :: case.processes] for index in range(case.processes)]
    threads = max(1, case.threads // case.processes)
    clients = [
        context.Process(target=client, args=(case, share, threads, f"{prefix}-{index}", barrier, results))
        for index, share in enumerate(shares)
    ]
    for process in clients:
        process.start()
    barrier.wait()
    began, server_began = time.monotonic(), emulator.cpu_seconds()
    spent = [results.get() for _ in clients]
    seconds, server_spent = time.monotonic() - began, emulator.cpu_seconds() - server_began
    for process in clients:
        process.join()
    if failed := [error for error in spent if isinstance(error, BaseException)]:
        raise failed[0]
    return Measured(seconds, sum(spent), server_spent, 2 * case.count)


def loop(case: Case, inputs: list[InputObject]) -> float:
    """Return images per second of the plain loop: list, then download, upload and delete with the standard client."""
    from google.cloud.storage import Client

    client, mask = Client(), os.urandom(case.mask)
    target = client.bucket(OUTPUT)
    began, moved = time.monotonic(), 0
    for blob in client.list_blobs(INPUT, prefix=inputs[0].name.rpartition("/")[0]):
        data = blob.download_as_bytes()
        if case.decode:
            mask = as_mask(data)
        target.blob(f"loop/{blob.name}").upload_from_string(mask, content_type="image/png")
        blob.delete()
        moved += 1
        if moved == _LOOP_COUNT:
            break
    return moved / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[50_000, 5_000_000], help="bytes of an input")
    add("--mask", type=int, default=5_000, help="bytes of a mask (5000)")
    add("--latencies", type=float, nargs="+", default=[0.0, 0.03], help="delay of each request in seconds (0 0.03)")
    add("--threads", type=int, nargs="+", default=[1, 4, 16, 32, 64], help="over all processes")
    add("--processes", type=int, nargs="+", default=[1, 2], help="client processes")
    add("--count", type=int, help="images (600 small ones, 60 large ones)")
    add("--repeats", type=int, default=3, help="number of repeats, of which the median is reported (3)")
    add("--decode", action="store_true", help="decode each image, and encode its mask")
    add("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    # With a directory, like `make demo`.
    with tempfile.TemporaryDirectory(prefix="cloudseg-bench-") as directory, running_emulator(directory) as emulator:
        inputs_by_size: dict[int, list[InputObject]] = {}
        loops: dict[tuple[int, float], float] = {}
        for case in cases(options):
            key = (case.size, case.latency)
            if key not in loops:
                inputs = reset_inputs(emulator, case)
                loops[key] = loop(case, inputs)
                inputs_by_size.pop(case.size, None)
            if len(inputs_by_size.get(case.size, [])) < case.count:
                inputs_by_size[case.size] = reset_inputs(emulator, case)
            runs = [
                measure(case, inputs_by_size[case.size][: case.count], emulator).row(case)
                for _ in range(options.repeats)
            ]
            row = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            spread = [min(run["images_per_second"] for run in runs), max(run["images_per_second"] for run in runs)]
            against = {"loop_images_per_second": loops[key], "times_the_loop": row["images_per_second"] / loops[key]}
            rows.append(asdict(case) | row | against | {"spread": spread})
            if not options.json:
                print(format_row(rows[-1]), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))


def format_row(row: dict[str, Any]) -> str:
    return (
        f"{row['size'] / 1000:>6.0f} kB  {1000 * row['latency']:>3.0f} ms  {row['processes']} processes "
        f"{row['threads']:>3} threads: {row['images_per_second']:>6.1f} images/s "
        f"({row['spread'][0]:.1f}–{row['spread'][1]:.1f}), {row['times_the_loop']:.1f} × the loop's "
        f"{row['loop_images_per_second']:.1f}; {row['requests_per_second']:>6.0f} requests/s, "
        f"{row['megabytes_per_second']:>5.0f} MB/s; CPU a request: client {row['client_cpu_ms_per_request']:.2f} ms, "
        f"emulator {row['server_cpu_ms_per_request']:.2f} ms"
    )


if __name__ == "__main__":
    main()
