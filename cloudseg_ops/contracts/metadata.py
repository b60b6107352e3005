"""Dataclasses as custom metadata of objects: one codec for all that cloudseg records there.

Custom metadata maps text to text. A field's key is `cloudseg-` and its name with hyphens; its type says how its value
is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

PREFIX = "cloudseg-"
"""What every key begins with."""


@dataclass(frozen=True, slots=True)
class Decimals:
    """How many decimals of a float are written: `Annotated[float, Decimals(3)]`.

    Attributes:
        places: Digits after the point.
    """

    places: int

    def write(self, value: float) -> str:
        """Round to so many decimals."""
        return f"{value:.{self.places}f}"


class MetadataRecord:
    """Base of the dataclasses that are written as custom metadata.

    A field is a `str`, an `int`, a `bool` or a float with `Decimals`; or one of these or None, which is written as no
    key at all; or another record, whose keys are then stored with the others.

    Attributes:
        key_prefix: Follows `cloudseg-` in the keys of the class's own fields.
    """

    __slots__ = ()
    key_prefix: ClassVar[str] = ""

    def to_metadata(self) -> dict[str, str]:
        """As custom metadata."""
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
        """Read it back; keys beyond the record's are ignored.

        Returns:
            None when a key is missing or its value is damaged: the object is not of this kind.
        """
        try:
            return _parse(cls, metadata)
        except (KeyError, ValueError):
            return None


_Record = TypeVar("_Record", bound=MetadataRecord)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a record: its key and how its value is written, or the record that it holds."""

    name: str
    key: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    optional: bool = False
    record: type[MetadataRecord] | None = None


_known: dict[type[MetadataRecord], tuple[_Field, ...]] = {}


def _fields(record: type[MetadataRecord]) -> tuple[_Field, ...]:
    """The fields in the order of the dataclass's arguments; worked out once, since a run reads a million masks."""
    found = _known.get(record)
    if found is None:
        found = _known[record] = _work_out_fields(record)
    return found


def _work_out_fields(record: type[Any]) -> tuple[_Field, ...]:
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
    # Nothing but the word itself means true.
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
