"""The rules of a run's params: which keys its conf may have, and what a prefix without objects was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from cloudseg_ops.contracts.errors import SettingsError

_NAMED = 10


def check_conf(conf: object, params: Mapping[str, Any], *, declared: Iterable[str]) -> None:
    """Raise an error if a run would ignore a part of its conf, such as a misspelled `dry_run`.

    Args:
        conf: The run's conf. Runs by schedule and by event have none; anything but a mapping is accepted.
        params: The params that the run uses.
        declared: Names of the DAG's and the task's params.

    Raises:
        SettingsError: A key is not a param, or Airflow does not apply the conf to the params.
    """
    if not isinstance(conf, Mapping) or not conf:
        return
    names = sorted(declared)
    if unknown := [str(key) for key in conf if key not in names]:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise SettingsError(
            "this run's conf has keys that are not params of the DAG: "
            f"{', '.join(_with_hint(key, names) for key in unknown[:_NAMED])}{more}. The params are "
            f"{', '.join(names)}. Nothing was read or changed: correct the conf, and trigger a new run"
        )
    if ignored := [name for name, value in conf.items() if name not in params or params[name] != value]:
        raise SettingsError(
            f"Airflow does not apply this run's conf to the params {', '.join(ignored)}; nothing was read or changed. "
            "Set Airflow's option [core] dag_run_conf_overrides_params to True, and trigger a new run"
        )


def _with_hint(key: str, names: list[str]) -> str:
    near = difflib.get_close_matches(key.strip().lower().replace("-", "_")[:100], names, n=1, cutoff=0.5)
    return f"{key[:100]!r}" + (f" (did you mean {near[0]}?)" if near else "")


def likely_prefix(prefix: str, bucket: str) -> str | None:
    """Return what a prefix was probably meant to be, or None if nothing about it is unusual.

    Names of objects may contain all that is removed here. Ask only about a prefix that no object has.

    Args:
        prefix: A prefix of object names.
        bucket: The input bucket's name, which is not a part of them.
    """
    meant = prefix.strip().replace("\\", "/").partition("*")[0]
    before, found, rest = f"{meant}/".partition(f"{bucket}/")
    if found and (not before or before.endswith("/")):
        meant = rest.removesuffix("/")
    meant = meant.removeprefix("./").lstrip("/")
    return None if meant == prefix else meant
