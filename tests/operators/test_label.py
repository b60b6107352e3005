from typing import Any

import pytest

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.operators import _label
from cloudseg_ops.operators._label import LabelledChunk, chunk_label

CHUNK: dict[str, Any] = {"index": 3, "uri": "gs://s/3", "objects": 1500, "bytes": 12_345_678}
LINE = "03:00:00 INFO progress: 420 of 1500 images, 10.5 images/s, 0:01:43 left (420 done)"


@pytest.mark.parametrize(
    ("chunk", "status", "expected"),
    [
        (CHUNK, None, "chunk 3: 1,500 images, 12.3 MB"),
        (CHUNK, ChunkStatus(1420, 1500, 1.0, ended=False), "chunk 3: 1,420 of 1,500 images, 12.3 MB"),
        ({**CHUNK, "objects": 1}, None, "chunk 3: 1 image, 12.3 MB"),
        ({"index": "3", "uri": "", "objects": "2", "bytes": "0"}, None, "chunk 3: 2 images, 0 B"),
    ],
)
def test_label_has_the_chunk_and_its_progress(chunk: dict[str, Any], status: ChunkStatus | None, expected: str) -> None:
    assert chunk_label(chunk, status) == expected


class _Task(LabelledChunk):
    def __init__(self) -> None:
        self.chunk = CHUNK


class _Pushed(list[Any]):
    def xcom_push(self, *, key: str, value: Any) -> None:
        self.append((key, value))


def test_progress_lines_update_label_and_xcom_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []
    monkeypatch.setattr(_label, "_set_label", labels.append)
    task, pushed = _Task(), _Pushed()
    for line in (
        "engine starts",
        LINE,
        LINE.replace("420 of", "421 of"),
        LINE.replace("progress: 420", "summary: 1500"),
    ):
        task.on_log_line(line, {"ti": pushed})
    assert labels == ["chunk 3: 420 of 1,500 images, 12.3 MB", "chunk 3: 1,500 of 1,500 images, 12.3 MB"]
    assert pushed == [
        ("progress", {"done": 420, "total": 1500, "images_per_second": 10.5}),
        ("progress", {"done": 1500, "total": 1500, "images_per_second": 10.5}),
    ]
    assert task.label == labels[-1]


def test_failing_label_and_xcom_do_not_fail_the_chunk() -> None:
    class Refusing:
        def xcom_push(self, **_: Any) -> None:
            raise RuntimeError("the API is away")

    task = _Task()
    task.on_log_line(LINE, {"ti": Refusing()})  # outside of a task, sending the label fails too
    assert task.label.startswith("chunk 3: 420 of")
    task.on_log_line(LINE.replace("progress: 420", "summary: 430"), {"ti": None})
    assert task.label.startswith("chunk 3: 430 of")


def test_label_template_renders_the_task() -> None:
    from jinja2.sandbox import SandboxedEnvironment

    rendered = SandboxedEnvironment().from_string(_label.LABEL_TEMPLATE).render(task=_Task())
    assert rendered == "chunk 3: 1,500 images, 12.3 MB"
