"""Reads values that went through a template, where everything becomes text."""

from __future__ import annotations

from cloudseg_ops.contracts.errors import SettingsError


def as_bool(rendered: object) -> bool:
    """Read a flag.

    Raises:
        SettingsError: It is neither true nor false.
    """
    text = str(rendered).strip().lower()
    if text not in ("true", "false"):
        raise SettingsError(f"{rendered!r} is neither true nor false; correct the DAG param")
    return text == "true"


def as_optional_int(rendered: object) -> int | None:
    """Read a number; None when it is none.

    Raises:
        SettingsError: It is neither empty nor a whole number.
    """
    text = str(rendered).strip()
    if text in ("", "None", "null"):
        return None
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{rendered!r} is not a whole number; correct the DAG param") from None
