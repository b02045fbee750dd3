"""Turns a configuration message into the JSON tree that clients and models see, field by field as declared.

Owns the rendering rules: field names as in the schema, defaults spelled out, absent messages left out, 64-bit integers
as numbers. Must not know what any field means.
"""

from __future__ import annotations

import struct
from typing import Any, Final

# The messages whose 64-bit integers stay strings, as JSON made from protobuf has them.
_STRING_INTEGERS: Final = frozenset({"Shape", "SecondaryDevice", "InitialState"})


def to_tree(message: Any) -> dict[str, Any]:
    """The message as a JSON tree; keys in the order of their declaration."""
    tree: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if is_map(field):
            tree[field.name] = _map_tree(field, value)
        elif is_repeated(field):
            tree[field.name] = [_value(field, item) for item in value]
        else:
            tree[field.name] = _value(field, value)
    return tree


def is_repeated(field: Any) -> bool:
    """Whether a field is a list (or a map)."""
    # Newer protobuf has the property and warns about the constants, older has only the constants.
    repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if repeated is None else repeated)


def is_map(field: Any) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _map_tree(field: Any, value: Any) -> dict[str, Any]:
    value_field = field.message_type.fields_by_name["value"]
    return {str(key): _value(value_field, value[key]) for key in sorted(value)}


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return to_tree(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.cpp_type == field.CPPTYPE_FLOAT:
        return _number(_shortest_single(value))
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return _number(value)
    if field.cpp_type == field.CPPTYPE_INT64 and field.containing_type.name in _STRING_INTEGERS:
        return str(value)
    return value


def _shortest_single(value: float) -> float:
    """A 32-bit float by the shortest decimal that denotes it: 0.1 and not 0.10000000149011612."""
    packed = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 9))
    return next((c for c in candidates if struct.pack("<f", c) == packed), value)


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value
