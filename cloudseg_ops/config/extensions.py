"""Tables that a setting selects from by name, and that users extend from their own modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.imports import import_reference, is_reference

Entry = TypeVar("Entry")


def check_name(name: str, table: Mapping[str, object]) -> str:
    """Return a name that may stand for an entry: a key of the table, or `package.module:NAME`.

    A reference is not imported here: settings are also read where a team's modules are not installed, such as Airflow's
    API server on Composer, which does not see the DAG folder.

    Raises:
        ValueError: It is neither.
    """
    if name not in table and not is_reference(name):
        raise ValueError(f"Input should be one of {', '.join(sorted(table))}, or your own package.module:NAME")
    return name


def find_entry(variable: str, name: str, table: Mapping[str, Entry], kind: type[Entry]) -> Entry:
    """Find an entry by its key in the table, or import it from `package.module:NAME`.

    Args:
        variable: The environment variable that names it, for the message.
        name: Key or reference.
        table: The entries that cloudseg brings along.
        kind: Class of an entry.

    Raises:
        SettingsError: There is no such entry.
    """
    if name in table:
        return table[name]
    try:
        found = import_reference(check_name(name, table))
    except (ValueError, ImportError, AttributeError) as error:
        raise SettingsError(f"{variable} = {name!r}: {error}") from error
    if not isinstance(found, kind):
        raise SettingsError(f"{variable} = {name!r}: it is a {type(found).__name__}; a {kind.__name__} is needed")
    return found
