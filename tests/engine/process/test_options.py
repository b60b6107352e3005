import pytest

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.process.options import expected_version, parse_options, usable_cpus

NEEDED = [
    *("--chunk", "gs://staging/runs/r/chunks/00042.jsonl"),
    *("--model", "gs://staging/runs/r/model.json"),
    *("--input", "gs://photographs"),
    *("--output", "gs://masks/"),
    *("--results", "gs://staging/runs/r/results/00042.jsonl"),
]


def test_defaults() -> None:
    options = parse_options(NEEDED)
    assert options.output == GcsUri("masks")
    assert (options.run_id, options.previews, options.preview_count) == ("", None, 12)
    assert (options.log_format, options.progress_seconds, options.precision) == ("text", 10.0, "auto")
    assert (options.batch, options.memory, options.threads, options.io_processes) == (None, None, None, None)
    assert (options.downloads, options.uploads, options.max_pixels) == (32, 32, 536_870_912)
    assert options.chunk_index == 42
    assert not options.tether


def test_chunk_index_can_be_set() -> None:
    assert parse_options([*NEEDED, "--chunk-index", "7"]).chunk_index == 7
    assert parse_options(["--chunk", "gs://staging/one.jsonl", *NEEDED[2:]]).chunk_index == 0


def test_numbers_override_measured_values() -> None:
    options = parse_options([*NEEDED, "--batch", "4", "--memory", "6Gi", "--io-processes", "0", "--threads", "auto"])
    assert (options.batch, options.memory, options.io_processes, options.threads) == (4, 6 * 2**30, 0, None)
    assert usable_cpus() >= 1


def test_expected_version_is_read_despite_unknown_options() -> None:
    assert expected_version([*NEEDED, "--of-tomorrow", "yes", "--expect-version", "9.0.0", "--more"]) == "9.0.0"
    assert expected_version([*NEEDED, "--tether"]) is None
    assert parse_options([*NEEDED, "--expect-version", "0.1.0"]).expect_version == "0.1.0"
    assert parse_options(NEEDED).expect_version is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--chunk"),
        (["--chunk", "/tmp/chunk.jsonl", *NEEDED[2:]], "not a Cloud Storage address"),
        (["--chunk", "gs://staging", *NEEDED[2:]], "names a bucket but no object"),
        ([*NEEDED, "--input", "gs://photographs/2024"], "more than a bucket"),
        ([*NEEDED, "--batch", "0"], "use 1 or more"),
        ([*NEEDED, "--uploads", "many"], "invalid whole_number"),
        ([*NEEDED, "--memory", "6"], "is its unit missing"),
        ([*NEEDED, "--memory", "much"], "such as 512Mi"),
        ([*NEEDED, "--batch", "some"], "invalid number_or_auto"),
        ([*NEEDED, "--progress-seconds", "nan"], "above 0"),
        ([*NEEDED, "--prec", "fp32"], "unrecognized arguments"),
    ],
)
def test_invalid_arguments_exit_with_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
