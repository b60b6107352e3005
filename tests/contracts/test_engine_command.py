from datetime import UTC, datetime
from typing import Any

import pytest

from cloudseg_ops import __version__
from cloudseg_ops.contracts.engine_command import ENGINE_MODULE, engine_arguments
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.process.options import parse_options

LAYOUT = RunLayout(GcsUri("staging"), GcsUri("output"), "manual__2026-08-26T03:00:00+00:00")
CHUNK: dict[str, Any] = {"index": 12, "uri": str(LAYOUT.chunk(12)), "objects": 3, "bytes": 30}


def test_engine_parses_the_arguments_of_the_operator() -> None:
    options = parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input"))
    assert options.chunk == LAYOUT.chunk(12)
    assert options.chunk_index == 12
    assert options.model == LAYOUT.model
    assert options.input == GcsUri("input")
    assert options.output == GcsUri("output")
    assert options.results == LAYOUT.results(12)
    assert options.progress == LAYOUT.progress(12)
    assert options.asked is None
    assert options.previews == LAYOUT.previews_folder
    assert options.run_id == LAYOUT.run_id
    assert not options.tether
    assert options.expect_version == __version__


def test_start_time_of_the_task_is_passed_to_the_engine() -> None:
    began = datetime(2026, 8, 26, 3, 0, 0, 125_000, tzinfo=UTC)
    options = parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input", asked=began))
    assert options.asked == began.timestamp()


def test_additional_options_take_precedence() -> None:
    extra = ("--tether", "--batch", "4", "--chunk-index", "99")
    options = parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input", options=extra))
    assert (options.tether, options.batch, options.chunk_index) == (True, 4, 99)


def test_chunk_index_can_be_text() -> None:
    arguments = engine_arguments(LAYOUT, {**CHUNK, "index": "12"}, input_bucket="input")
    assert str(LAYOUT.results(12)) in arguments
    assert all(isinstance(argument, str) for argument in arguments)


def test_engine_module_exists() -> None:
    from importlib.util import find_spec

    assert find_spec(f"{ENGINE_MODULE}.__main__")


@pytest.mark.parametrize(
    ("previews", "folder", "all_of_them"),
    [("some", LAYOUT.previews_folder, False), ("all", LAYOUT.previews_folder, True), ("none", None, False)],
)
def test_previews_of_some_all_or_no_images(previews: str, folder: GcsUri | None, all_of_them: bool) -> None:
    options = parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input", previews=previews))
    assert (options.previews, options.preview_all) == (folder, all_of_them)


@pytest.mark.parametrize("device", ["auto", "cuda", "cpu"])
def test_device_is_passed_to_the_engine(device: str) -> None:
    assert parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input", device=device)).device == device
