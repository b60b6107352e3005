from typing import Any

import pytest

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.runs.run_params import check_conf, likely_prefix

PARAMS: dict[str, Any] = {
    "model_revision": "v2", "input_prefix": None, "after_success": "delete", "max_objects": None, "dry_run": False,
}  # fmt: skip


def _check(conf: object, **params: Any) -> None:
    check_conf(conf, {**PARAMS, **(conf if isinstance(conf, dict) else {}), **params}, declared=PARAMS)


@pytest.mark.parametrize(
    "conf", [None, {}, {"dry_run": True}, {"max_objects": 1.0, "input_prefix": None}, "text", ["dryrun"], 7]
)
def test_params_and_what_is_no_mapping_are_accepted(conf: object) -> None:
    _check(conf)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("dryrun", "dry_run"), ("dry-run", "dry_run"), ("DRY_RUN", "dry_run"), ("dry_run ", "dry_run"),
        ("prefix", "input_prefix"), ("revision", "model_revision"), ("model", "model_revision"),
        ("after_sucess", "after_success"), ("max_object", "max_objects"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_with_the_param_that_was_meant(key: str, meant: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _check({key: True})
    assert f"{key!r} (did you mean {meant}?). The params are after_success, dry_run, " in str(raised.value)


def test_a_key_like_no_param_is_refused_without_a_suggestion() -> None:
    with pytest.raises(SettingsError, match=r"not params of the DAG: 'zzz'\. The params are"):
        _check({"zzz": 1, "dry_run": True})


def test_the_message_is_bounded() -> None:
    with pytest.raises(SettingsError, match="and 90 more") as raised:
        _check({f"{number}" * 1000: 1 for number in range(100)})
    assert len(str(raised.value)) < 2000


def test_a_conf_that_airflow_does_not_apply_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"to the params dry_run; .*dag_run_conf_overrides_params"):
        _check({"dry_run": True, "model_revision": "v2"}, dry_run=False)


@pytest.mark.parametrize(
    ("prefix", "meant"),
    [
        ("", None), ("2026/08/", None), ("2026", None), ("x/photos-in-2/", None), ("my-photos-in/x/", None),
        ("/x/", "x/"), ("//x/", "x/"), ("./x/", "x/"), ("/", ""), ("*", ""), ("*.jpg", ""), ("x/*", "x/"),
        ("x/**/*.jpg", "x/"), (" x/ ", "x/"), ("x\\y\\", "x/y/"), ("photos-in", ""), ("photos-in/", ""),
        ("photos-in/x", "x"), ("photos-in/x/", "x/"), ("/photos-in/x/*", "x/"),
        ("https://storage.googleapis.com/photos-in/x/", "x/"),
    ],
)  # fmt: skip
def test_what_an_unusual_prefix_was_meant_to_be(prefix: str, meant: str | None) -> None:
    assert likely_prefix(prefix, "photos-in") == meant
