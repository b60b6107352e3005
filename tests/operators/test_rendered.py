import pytest

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.operators._rendered import as_bool, as_optional_int


@pytest.mark.parametrize(
    ("rendered", "expected"), [("True", True), ("true", True), (True, True), (" TRUE ", True), ("False", False),
                               ("false", False), (False, False)]
)  # fmt: skip
def test_flags(rendered: object, expected: bool) -> None:
    assert as_bool(rendered) is expected


@pytest.mark.parametrize("rendered", ["", "yes", "1", 0, None, "None", "truee", "{{ params.dry_run }}"])
def test_what_is_neither_true_nor_false_is_no_dry_run_by_chance(rendered: object) -> None:
    with pytest.raises(SettingsError, match="neither true nor false"):
        as_bool(rendered)


@pytest.mark.parametrize(
    ("rendered", "expected"), [("7", 7), (7, 7), (" 7 ", 7), ("", None), ("None", None), (None, None), ("null", None)]
)
def test_numbers(rendered: object, expected: int | None) -> None:
    assert as_optional_int(rendered) == expected


@pytest.mark.parametrize("rendered", ["many", "7.5", 7.5, "none at all", "{{ params.max_objects }}", "1e3"])
def test_what_is_no_number(rendered: object) -> None:
    with pytest.raises(SettingsError, match="not a whole number"):
        as_optional_int(rendered)
