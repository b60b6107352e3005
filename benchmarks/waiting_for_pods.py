"""Compares waiting for pods in a worker slot with waiting in the triggerer (CLOUDSEG_DEFERRABLE).

Runs the same chunks both ways on the cluster that KUBECONFIG names, under a real Airflow, and prints memory and CPU
of Airflow's processes while the pods run, and the seconds from a container's end to its task's.

    python -m benchmarks.waiting_for_pods --chunks 4 --repeats 2
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.processes import MARKER
from tests.kubernetes.cluster import Cluster, kubeconfig_path
from tests.kubernetes.conftest import NAMESPACE, Site, open_site, swept

# Reading a process's memory takes milliseconds of CPU; sampling more often would distort the measurement.
_SAMPLE_SECONDS = 3.0


@dataclass
class Samples:
    """Samples of all processes of one Airflow while chunks are segmented.

    Attributes:
        mebibytes: Summed proportional set size of each sample.
        cpu_seconds: CPU time by process ID, in its first and last sample.
        ended: When each pod's container ended, by name.
    """

    mebibytes: list[float] = field(default_factory=list)
    cpu_seconds: dict[int, tuple[float, float]] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def take(self, site: Site) -> None:
        total = 0.0
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARKER) != str(site.airflow.stack.state.root):
                    continue
                total += process.memory_full_info().pss / 2**20
                spent = sum(process.cpu_times()[:2])
                first = self.cpu_seconds.get(process.pid, (0.0 if self.mebibytes else spent, 0.0))[0]
                self.cpu_seconds[process.pid] = (first, spent)
            except psutil.Error:
                continue
        self.mebibytes.append(total)
        for pod in site.cluster.pods():
            for container in pod.status.container_statuses or ():
                if container.state.terminated:
                    self.ended[pod.metadata.labels["map_index"]] = container.state.terminated.finished_at.timestamp()

    @property
    def cpu(self) -> float:
        return sum(last - first for first, last in self.cpu_seconds.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = kubeconfig_path()
    if found is None:
        raise SystemExit("no cluster: KUBECONFIG is not set")
    cluster = Cluster(found, NAMESPACE)
    cluster.create_namespace()
    rows: dict[str, list[dict[str, float]]] = {"waiting": [], "deferred": []}
    for _ in range(options.repeats):
        for kind, measurements in rows.items():
            measurements.append(measure(cluster, options.chunks, deferrable=kind == "deferred"))
            print(kind, measurements[-1], file=sys.stderr)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{options.chunks} chunks at once, {options.repeats} repeats: median (all)")
    for name in rows["waiting"][0]:
        values_by_kind = {kind: [row[name] for row in found] for kind, found in rows.items()}
        middle = {kind: statistics.median(values) for kind, values in values_by_kind.items()}
        ratio = middle["deferred"] / middle["waiting"] if middle["waiting"] else float("nan")
        spread = "; ".join(
            f"{kind} {middle[kind]:.1f} {[round(value, 1) for value in values_by_kind[kind]]}"
            for kind in values_by_kind
        )
        print(f"{name:<42} {spread}; deferred/waiting {ratio:.2f}")


def measure(cluster: Cluster, chunks: int, *, deferrable: bool) -> dict[str, float]:
    """Run the segmentation once, and return Airflow's cost beyond its idle cost."""
    root = Path(tempfile.mkdtemp(prefix="cloudseg-bench-"))
    settings = {"deferrable": deferrable, "chunk_objects": 8, "gpus": 0, "schedule_timeout_seconds": 300}
    with open_site(cluster, root, **settings) as running, swept(running) as site:
        # All pods at once, however many GPUs the cluster has: only the waiting is measured.
        site.overlay({"spec": {"tolerations": [{"operator": "Exists"}]}})
        site.airflow.api.set_pool("cloudseg_gpu", chunks, "benchmark")
        time.sleep(10)
        idle = Samples()
        idle.take(site)
        site.upload("bench", 8 * chunks)
        with site.slow_storage(0.8), _sampled(site) as samples:
            began = time.monotonic()
            run_id = site.airflow.trigger()
            state = site.airflow.wait(run_id, 600)
            seconds = time.monotonic() - began
        if state != "success":
            raise SystemExit(f"the run ended as {state}: {site.airflow.tasks(run_id)}")
        late = _lateness(site, run_id, samples)
        return {
            "peak memory over idle, MiB": max(samples.mebibytes) - idle.mebibytes[0],
            "CPU seconds of Airflow": samples.cpu,
            "seconds from trigger to end": seconds,
            # A worker deletes its pod at once, usually before it can be sampled; then this is NaN.
            "seconds from container's end to task's": statistics.mean(late) if late else float("nan"),
        }


@contextmanager
def _sampled(site: Site) -> Iterator[Samples]:
    samples, stop = Samples(), threading.Event()

    def work() -> None:
        while not stop.wait(_SAMPLE_SECONDS):
            samples.take(site)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _lateness(site: Site, run_id: str, samples: Samples) -> list[float]:
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances"
    found = site.airflow.api._send("GET", path, params={"task_id": "segment", "limit": 100}).json()["task_instances"]
    ends = {
        str(item["map_index"]): datetime.fromisoformat(item["end_date"]).timestamp()
        for item in found
        if item["task_id"] == "segment" and item["end_date"]
    }
    return [ends[index] - ended for index, ended in samples.ended.items() if index in ends]


if __name__ == "__main__":
    main()
