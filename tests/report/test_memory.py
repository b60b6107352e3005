import json
import os
import subprocess
import sys

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import start_emulator
from tests.support.report_runs import done, quarantined, write_chunk, written

_PER_CHUNK = 2500

# In a separate process: the emulator of this one keeps all objects in memory, which would count too.
_MEASURE = """
import json, sys, tracemalloc
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.storage import Store
from cloudseg_ops.contracts.uris import GcsUri
from tests.support.report_runs import facts_of, planned

store = Store.open()
peaks = []
for run_id, chunks in (("warm", 1), ("small", 2), ("large", 20)):
    layout = RunLayout(GcsUri("staging"), GcsUri("output"), run_id)
    facts = facts_of(layout, planned(layout, *[2500] * chunks))
    tracemalloc.start()
    write_report(store, layout, facts, formats=["csv"])
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
print(json.dumps(peaks))
"""

_IMPORTS = """
import sys
import cloudseg_ops.report
heavy = {"google.cloud.storage", "numpy", "PIL", "jinja2", "torch", "dvc", "airflow"} & set(sys.modules)
assert not heavy, heavy
"""


def _python(code: str, **environment: str) -> str:
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images() -> None:
    with start_emulator() as emulator:
        store = Store(emulator.client())
        store.create_bucket("staging")
        store.create_bucket("output")
        for run_id, chunks in (("small", 2), ("large", 20)):
            layout = RunLayout(GcsUri("staging"), GcsUri("output"), run_id)
            for chunk in range(chunks):
                names = [f"station/{chunk:05d}/photograph-{number:05d}.jpg" for number in range(_PER_CHUNK)]
                write_chunk(
                    store,
                    layout,
                    chunk,
                    [
                        done(name, 0.3) if number % 2 else quarantined(name, "no image" * 10)
                        for number, name in enumerate(names)
                    ],
                )
        _, small, large = json.loads(_python(_MEASURE, STORAGE_EMULATOR_HOST=emulator.url))
        report = written(store, layout)
        size = store.stat(layout.report_folder / "report.json")
    assert len(report["images"]) == 50_000
    assert len(report["quarantined"]) == 25_000
    assert size is not None
    assert size.size > 12_000_000
    # The upload holds a few pieces of 1 MiB, of which the small report does not fill one.
    assert large - small < 4_000_000


def test_importing_the_report_imports_nothing_heavy() -> None:
    _python(_IMPORTS)
