"""`python -m tests.series`: records the interface between the DAG's code and the engine in this series.

Within a series of versions the interface is fixed, because the engine and the DAG may have different versions
(`cloudseg_ops.contracts.versions`). tests/test_series.py compares.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import (
    MaskProvenance,
    Source,
    archive_name,
    mask_name,
    quarantine_metadata,
    quarantine_name,
)
from cloudseg_ops.contracts.results import ChunkSummary, Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout, staged_weights
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.contracts.versions import series
from cloudseg_ops.engine.process.options import _parser

FILE = Path(__file__).with_name("series.json")

_INPUT = InputObject("a/b.jpg", 1, 2, "AAAAAA==")
_SOURCE = Source("input", "a/b.jpg", 1, "AAAAAA==")
_MASK = MaskProvenance(_SOURCE, "v1", "0" * 40, "0" * 32, "0" * 32, 0.5, "run", "1.2.3")


def described() -> dict[str, Any]:
    """The interface that is fixed within a series: options, names of objects, keys of written records."""
    staging, layout = GcsUri("staging"), RunLayout(GcsUri("staging"), GcsUri("output"), "run")
    addresses = [
        *(layout.snapshot, layout.plan, layout.model, layout.chunk(7), layout.results(7)),
        *(layout.progress(7), layout.previews_folder, layout.report_folder, staged_weights(staging, "0" * 32, ".pt")),
    ]
    return {
        "series": list(series(__version__)),
        "options": {action.option_strings[0]: _option(action) for action in _parser()._actions},
        "addresses": [str(address) for address in addresses],
        "names": [name("a/b.jpg") for name in (mask_name, quarantine_name, archive_name)],
        "outcomes": sorted(Outcome),
        "keys": {
            "line of a chunk": sorted(json.loads(_INPUT.to_line())),
            "line of results": sorted(json.loads(Result(_INPUT, Outcome.DONE).to_line())),
            "results": sorted(ChunkSummary(1, 2, 3, complete=True, asked=0.5).to_metadata()),
            "mark": sorted(ChunkStatus(1, 2, 3.0, ended=True).to_metadata()),
            "mask": sorted(_MASK.to_metadata()),
            "quarantined": sorted(quarantine_metadata(_SOURCE, "why", "run")),
            "model": sorted(ModelRef.model_fields),
        },
    }


def _option(action: argparse.Action) -> str:
    kind = "needed" if action.required else "may be given"
    return f"{kind}: {', '.join(map(str, action.choices))}" if action.choices else kind


if __name__ == "__main__":
    FILE.write_text(json.dumps(described(), indent=1) + "\n")
