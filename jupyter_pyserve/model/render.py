"""Turns a configuration message into the JSON tree that clients and models see, field by field as declared.

Owns the rendering rules: field names as in the schema, defaults spelled out, absent messages left out, 64-bit integers
as numbers. Must not know what any field means.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final

# The messages whose 64-bit integers stay strings, as JSON made from protobuf has them.
_STRING_INTEGERS: Final = frozenset({"Shape", "SecondaryDevice", "InitialState"})


def to_tree(message: Any) -> dict[str, Any]:
    """The message as a JSON tree; keys in the order of their declaration, values of alternatives last."""
    tree: dict[str, Any] = {}
    for field in sorted(message.DESCRIPTOR.fields, key=_is_alternative):
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


def _is_alternative(field: Any) -> bool:
    return field.containing_oneof is not None and field.message_type is None


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
        return _number(value, "<f", 6, 9)
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return _number(value, "<d", 15, 17)
    if field.cpp_type == field.CPPTYPE_INT64 and field.containing_type.name in _STRING_INTEGERS:
        return str(value)
    return value


def _number(value: float, form: str, few: int, many: int) -> float | int | str:
    """A number as protobuf spells it, with many digits where a few do not denote it: 0.1 and not 0.10000000149011612.

    Without a point or an exponent it is a whole number; what is no number is a text, since JSON has none.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.{few}g}"
    if struct.pack(form, float(text)) != struct.pack(form, value):
        text = f"{value:.{many}g}"
    return float(text) if "." in text or "e" in text else int(text)
