"""The messages of Terraform's plugin protocol 5 that a plan exchanges with a provider.

Their field numbers are those of `tfplugin5.proto` in Terraform's repository; fields that are not needed here are left
out, which protocol buffers allow.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

msgpack = import_module("msgpack")  # untyped

SERVICE = "tfplugin5.Provider"
UNKNOWN = msgpack.ExtType(0, b"\0")
"""A value that will be known after an apply, as Terraform writes it."""

# Message: fields by number; a type in capitals is another message, `*` means repeated.
_MESSAGES = {
    "Empty": {},
    "DynamicValue": {1: "bytes msgpack", 2: "bytes json"},
    "Diagnostic": {1: "int64 severity", 2: "string summary", 3: "string detail"},
    "Attribute": {
        1: "string name",
        2: "bytes type",
        4: "bool required",
        5: "bool optional",
        6: "bool computed",
    },
    "NestedBlock": {
        1: "string type_name",
        2: "Block block",
        3: "int64 nesting",
        4: "int64 min_items",
        5: "int64 max_items",
    },
    "Block": {2: "Attribute* attributes", 3: "NestedBlock* block_types"},
    "Schema": {1: "int64 version", 2: "Block block"},
    "NamedSchema": {1: "string key", 2: "Schema value"},
    "SchemaResponse": {1: "Schema provider", 2: "NamedSchema* resource_schemas", 3: "NamedSchema* data_source_schemas"},
    "PrepareRequest": {1: "DynamicValue config"},
    "PrepareResponse": {1: "DynamicValue prepared_config", 2: "Diagnostic* diagnostics"},
    "DiagnosticsResponse": {1: "Diagnostic* diagnostics"},
    "PlanRequest": {1: "string type_name", 2: "DynamicValue prior_state", 3: "DynamicValue proposed_new_state"},
    "PlanResponse": {1: "DynamicValue planned_state", 4: "Diagnostic* diagnostics", 5: "bool legacy_type_system"},
    "ReadDataRequest": {1: "string type_name", 2: "DynamicValue config"},
    "ReadDataResponse": {1: "DynamicValue state", 2: "Diagnostic* diagnostics"},
}


def _describe() -> descriptor_pb2.FileDescriptorProto:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tfplugin5_subset.proto", package="tfplugin5", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, text in fields.items():
            kind, field_name = text.split()
            field = message.field.add(name=field_name, number=number)
            field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".tfplugin5.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_describe())


def message(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"tfplugin5.{name}"))


def decode(value: Any) -> Any:
    """A DynamicValue as plain Python; unknown values stay `UNKNOWN`."""
    return msgpack.unpackb(value.msgpack, strict_map_key=False)


def encode(value: Any) -> Any:
    """Plain Python as a DynamicValue."""
    return message("DynamicValue")(msgpack=msgpack.packb(value))
