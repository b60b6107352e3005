"""The codec between dataclasses and custom metadata of objects.

Custom metadata maps strings to strings. A field's key is `cloudseg-` plus its name with hyphens; its type determines
how its value is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

PREFIX = "cloudseg-"
"""Prefix of every key."""


@dataclass(frozen=True, slots=True)
class Decimals:
    """The number of decimals with which a float is written: `Annotated[float, Decimals(3)]`.

    Attributes:
        places: Digits after the decimal point.
    """

    places: int

    def write(self, value: float) -> str:
        """Return the value rounded to `places` decimals."""
        return f"{value:.{self.places}f}"


class MetadataRecord:
    """Base class of the dataclasses that are written as custom metadata.

    A field is a `str`, an `int`, a `bool` or a float with `Decimals`. It may be optional: no key is written for None.
    A field may also be another record, whose keys are added to those of the outer one.

    Attributes:
        key_prefix: Inserted after `cloudseg-` in the keys of this class's fields.
    """

    __slots__ = ()
    key_prefix: ClassVar[str] = ""

    def to_metadata(self) -> dict[str, str]:
        """Return the record as custom metadata."""
        metadata: dict[str, str] = {}
        for field in _fields(type(self)):
            value = getattr(self, field.name)
            if field.record:
                metadata |= value.to_metadata()
            elif value is not None:
                metadata[field.key] = field.write(value)
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self | None:
        """Read a record from custom metadata; other keys are ignored.

        Returns:
            The record, or None if a key is missing or has an invalid value: the object is not of this kind.
        """
        try:
            return _parse(cls, metadata)
        except (KeyError, ValueError):
            return None


_Record = TypeVar("_Record", bound=MetadataRecord)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a record: its key and codec, or the nested record."""

    name: str
    key: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    optional: bool = False
    record: type[MetadataRecord] | None = None


_cache: dict[type[MetadataRecord], tuple[_Field, ...]] = {}


def _fields(record: type[MetadataRecord]) -> tuple[_Field, ...]:
    """Return the fields in the order of the dataclass's arguments; cached, since a run reads a million masks."""
    found = _cache.get(record)
    if found is None:
        found = _cache[record] = _compute_fields(record)
    return found


def _compute_fields(record: type[Any]) -> tuple[_Field, ...]:
    types = get_type_hints(record, include_extras=True)
    names = [field.name for field in fields(record)]
    return tuple(_field(name, f"{PREFIX}{record.key_prefix}{name.replace('_', '-')}", types[name]) for name in names)


def _field(name: str, key: str, kind: Any) -> _Field:
    optional = get_origin(kind) in (Union, UnionType)
    if optional:
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Annotated:
        _, decimals = get_args(kind)
        return _Field(name, key, decimals.write, float, optional)
    if issubclass(kind, MetadataRecord):
        return _Field(name, key, str, str, record=kind)
    write, read = _CODECS[kind]
    return _Field(name, key, write, read, optional)


_CODECS: dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    str: (str, str),
    int: (str, int),
    # Every value other than "true" reads as False.
    bool: (lambda value: "true" if value else "false", "true".__eq__),
}


def _parse(record: type[_Record], metadata: Mapping[str, str]) -> _Record:
    values: list[Any] = []
    for field in _fields(record):
        if field.record:
            values.append(_parse(field.record, metadata))
        elif field.optional and field.key not in metadata:
            values.append(None)
        else:
            values.append(field.read(metadata[field.key]))
    return record(*values)
