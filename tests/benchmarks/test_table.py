from dataclasses import replace

import pytest

from benchmarks.table import Outcome, contender_line, format_number, ratios, row_lines, spread, whole_ratios


def outcome(contender: str, repeat: int, steady: float, with_cleaning: float | None = None) -> Outcome:
    return Outcome(
        contender,
        repeat,
        images=10,
        steady=steady,
        with_cleaning=steady if with_cleaning is None else with_cleaning,
        whole=steady / 2,
        seconds=4.0,
        cpu_seconds=5.0,
        peak_mib=300.0,
        agreement=(0.9999, 0.9991),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.500"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (4567.8, "4568"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_spread_has_median_minimum_and_maximum() -> None:
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert found
    assert (found.median, found.least, found.most) == (2.5, 1.0, 10.0)
    assert found.format() == "2.50 (1.00–10.0)"
    assert spread([]) is None


def test_ratios_are_computed_within_a_repeat() -> None:
    # The machine is twice as fast in the second repeat: the ratios stay the same.
    found = ratios([outcome("a", 0, 10), outcome("b", 0, 9), outcome("a", 1, 20), outcome("b", 1, 18)])
    assert found["b/a"].least == pytest.approx(0.9)
    assert found["b/a"].most == pytest.approx(0.9)
    assert set(found) == {"b/a"}


def test_deletion_counts_against_others_but_not_the_limit() -> None:
    found = ratios([outcome("a", 0, 10), outcome("b", 0, 8, with_cleaning=6), outcome("c", 0, 2)])
    assert found["b/a"].median == pytest.approx(0.8)
    assert found["b/c"].median == pytest.approx(3)


def test_whole_processes_are_compared_as_well() -> None:
    slow_start = replace(outcome("b", 0, 8), whole=1.0)
    found = whole_ratios([outcome("a", 0, 10), slow_start, outcome("c", 0, 4)])
    assert found["b/c"].median == pytest.approx(0.5)
    assert set(found) == {"b/c"}
    assert row_lines("a row", [slow_start, outcome("c", 0, 4)], free=False)[-1].endswith("b/c 0.500 (0.500–0.500)")


def test_failed_repeat_has_no_ratio() -> None:
    failed = Outcome("c", 1, error="failed with code 1: no")
    found = ratios([outcome("b", 0, 4), outcome("c", 0, 2), outcome("b", 1, 100), failed])
    assert (found["b/c"].least, found["b/c"].most) == (2, 2)


def test_contender_line_shows_medians_agreement_and_failures() -> None:
    line = contender_line("c  loop", [outcome("c", 0, 2), outcome("c", 1, 4), Outcome("c", 2, error="failed: why")])
    assert "3.00 (2.00–4.00)" in line
    assert "99.9100% least" in line
    assert "0.500" in line  # CPU seconds for an image
    assert "1 of 3 failed: failed: why" in line


def test_unmeasured_contender_is_listed_with_its_reason() -> None:
    lines = row_lines("a row", [outcome("b", 0, 4), Outcome("d", 0, error="not installed: no wheel")], free=False)
    assert any(line.startswith("d  Beam RunInference") and line.endswith("not installed: no wheel") for line in lines)
    assert lines[-1].endswith("none: no two contenders were measured")


def test_free_model_is_not_compared_with_its_forward_pass() -> None:
    outcomes = [outcome("a", 0, 5000), outcome("b", 0, 100), outcome("c", 0, 5)]
    assert "b/a" in row_lines("a row", outcomes, free=False)[-2]
    steady, whole = row_lines("a row", outcomes, free=True)[-2:]
    assert "b/a" not in steady
    assert "b/c 20.0" in steady
    assert "b/a" not in whole


def test_emulator_bottleneck_is_reported() -> None:
    def engine(share: float) -> Outcome:
        return replace(outcome("b", 0, 100), images=1000, more={"emulator_cpu_seconds": 10 * share})

    assert "busy for 90% of b's time" in "\n".join(row_lines("a row", [engine(0.9)], free=True))
    assert "emulator" not in "\n".join(row_lines("a row", [engine(0.4)], free=True))
