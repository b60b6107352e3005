"""Results of runs, written like the tasks do."""

import io
import json
from collections.abc import Sequence
from typing import Any

from PIL import Image

from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, mask_name
from cloudseg_ops.contracts.results import ChunkSummary, Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import PlannedChunk, RunFacts
from cloudseg_ops.storage import Store

MODEL = ModelRef(
    revision="v2",
    commit="0123456789abcdef0123456789abcdef01234567",
    repository="https://git.example.org/models.git",
    md5="d41d8cd98f00b204e9800998ecf8427e",
    uri="gs://staging/models/d41d8cd98f00b204e9800998ecf8427e/weights.pt",
    digest="900150983cd24fb0d6963f7d28e17f72",
    params=ModelParams(architecture="unet", in_channels=3, n_classes=1),
)


def done(name: str, fraction: float = 0.5) -> Result:
    return Result(InputObject(name, 7, 1000, "AAAAAA=="), Outcome.DONE, mask_name(name), fraction, seconds=0.1)


def quarantined(name: str, reason: str) -> Result:
    return Result(InputObject(name, 7, 1000, "AAAAAA=="), Outcome.QUARANTINED, reason=reason)


def planned(layout: RunLayout, *objects: int) -> list[PlannedChunk]:
    return [
        {"index": index, "uri": str(layout.chunk(index)), "objects": count, "bytes": 1000 * count}
        for index, count in enumerate(objects)
    ]


def write_chunk(
    store: Store,
    layout: RunLayout,
    index: int,
    results: Sequence[Result | str],
    *,
    started: float = 100.0,
    finished: float = 110.0,
    complete: bool = True,
) -> None:
    lines = [result if isinstance(result, str) else result.to_line() for result in results]
    store.write(
        layout.results(index),
        "".join(line + "\n" for line in lines).encode(),
        metadata=ChunkSummary(started, finished, len(lines), complete).to_metadata(),
    )


def facts_of(layout: RunLayout, chunks: Sequence[PlannedChunk], **changes: Any) -> RunFacts:
    objects = sum(chunk["objects"] for chunk in chunks)
    fields: dict[str, Any] = {
        "run_id": layout.run_id,
        "started": "2026-08-26T03:00:00+00:00",
        "objects": objects,
        "bytes": 1000 * objects,
        "model": MODEL,
        "chunks": chunks,
        "places": {"input": 0, "masked": objects, "quarantined": 0, "superseded": 0, "lost": 0} if objects else {},
        "lost": [],
        "after_success": "delete",
        "version": "1.2.3",
        "seconds": {"sense": 60.0, "pull": 4.0, "plan": 1.0, "clean": 6.0},
    }
    return RunFacts(**(fields | changes))


def picture(width: int = 64, height: int = 32) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "skyblue").save(stream, "JPEG")
    return stream.getvalue()


def write_preview(
    store: Store, layout: RunLayout, file: str, name: str, fraction: float, *, data: bytes | None = None
) -> None:
    provenance = MaskProvenance(
        Source("input", name, 7, "AAAAAA=="),
        MODEL.revision,
        MODEL.commit,
        MODEL.md5,
        MODEL.digest,
        fraction,
        layout.run_id,
        "1.2.3",
    )
    store.write(
        layout.previews_folder / file,
        picture() if data is None else data,
        content_type="image/jpeg",
        metadata=provenance.to_metadata(),
    )


def written(store: Store, layout: RunLayout) -> dict[str, Any]:
    """Return report.json, parsed as strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    fields: dict[str, Any] = json.loads(store.read(layout.report_folder / "report.json"), parse_constant=refuse)
    return fields


def page(store: Store, layout: RunLayout) -> str:
    return store.read(layout.report_folder / "report.html").decode()
