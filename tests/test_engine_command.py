from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.engine.options import parse_options
from cloudseg_ops.engine_command import ENGINE_MODULE, engine_arguments
from cloudseg_ops.layout import RunLayout
from cloudseg_ops.uris import GcsUri

LAYOUT = RunLayout(GcsUri("staging"), GcsUri("output"), "manual__2026-08-26T03:00:00+00:00")
CHUNK: dict[str, Any] = {"index": 12, "uri": str(LAYOUT.chunk(12)), "objects": 3, "bytes": 30}


def test_the_engine_reads_what_the_operator_means() -> None:
    options = parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input"))
    assert options.chunk == LAYOUT.chunk(12)
    assert options.chunk_index == 12
    assert options.model == LAYOUT.model
    assert options.input == GcsUri("input")
    assert options.output == GcsUri("output")
    assert options.results == LAYOUT.results(12)
    assert options.previews == LAYOUT.previews_folder
    assert options.run_id == LAYOUT.run_id
    assert not options.tether
    assert options.expect_version == __version__


def test_further_options_win() -> None:
    extra = ("--tether", "--batch", "4", "--chunk-index", "99")
    options = parse_options(engine_arguments(LAYOUT, CHUNK, input_bucket="input", options=extra))
    assert (options.tether, options.batch, options.chunk_index) == (True, 4, 99)


def test_an_index_that_went_through_xcom_as_text() -> None:
    arguments = engine_arguments(LAYOUT, {**CHUNK, "index": "12"}, input_bucket="input")
    assert str(LAYOUT.results(12)) in arguments
    assert all(isinstance(argument, str) for argument in arguments)


def test_the_module_is_there() -> None:
    from importlib.util import find_spec

    assert find_spec(f"{ENGINE_MODULE}.__main__")
