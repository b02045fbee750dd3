"""Reads a model configuration from protobuf text or from JSON into its value.

Owns the grammars and what their errors say. Must not know where the text was, or whether its content makes sense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.defaults import PYTHON_BACKEND, fill_defaults
from jupyter_pyserve.model.messages import model_config_messages
from jupyter_pyserve.model.render import is_map, is_repeated, to_tree
from jupyter_pyserve.model.values import ModelConfig

#: Strings, which stay as they are, and what is not JSON outside of them. Strings need no end, and names begin where
#: words do, so that no part of a text is looked at again and again.
_LIBERTIES: Final = re.compile(
    r""" "(?:\\.|[^"\\])*"? | '(?:\\.|[^'\\])*'? | \b[A-Za-z_]\w*(?=\s*:) | ,(?=\s*[\]}]) """, re.VERBOSE
)


class MalformedConfigError(ValueError):
    """A configuration that does not fit the schema; the text says where."""


def parse_pbtxt(
    text: str, *, model_name: str, path: str, default_backend: str = PYTHON_BACKEND, gpus: int = 0
) -> ModelConfig:
    """The configuration in a `config.pbtxt`; empty text is a configuration made of defaults."""
    return _complete(_parse_text(text, path), model_name=model_name, default_backend=default_backend, gpus=gpus)


def require_name(config: ModelConfig, model_name: str) -> None:
    """Refuse a configuration that names another model; asked last, as on Triton."""
    if config.name != model_name:
        raise PyServeError(
            Code.INVALID_ARG,
            f"unexpected directory name '{model_name}' for model '{config.name}', directory name must equal model name",
        )


def with_instance_count(text: str, count: int, *, path: str) -> str:
    """The text of a configuration with so many instances in its first group; comments are lost."""
    from google.protobuf import text_format

    message = _parse_text(text, path)
    (message.instance_group[0] if message.instance_group else message.instance_group.add()).count = count
    return str(text_format.MessageToString(message))


def _parse_text(text: str, path: str) -> Any:
    from google.protobuf import text_format

    message = model_config_messages().ModelConfig()
    try:
        text_format.Parse(text, message)
        _require_known_enums(message)
    except (text_format.ParseError, MalformedConfigError) as error:
        raise PyServeError(Code.INTERNAL, f"failed to read text proto from {path}: {error}") from error
    return message


def parse_json_config(
    text: str, *, model_name: str, default_backend: str = PYTHON_BACKEND, gpus: int = 0
) -> ModelConfig:
    """The configuration in JSON, as a load request carries it."""
    try:
        message = to_message(_read_json(text))
    except (ValueError, RecursionError) as error:
        raise PyServeError(Code.INVALID_ARG, f"Invalid config override: {error}") from error
    return _complete(message, model_name=model_name, default_backend=default_backend, gpus=gpus)


def _read_json(text: str) -> object:
    """JSON, or what protobuf's own parser takes for it.

    Names without quotes, apostrophes, a comma behind the last item, strings over several lines.
    """
    try:
        return json.loads(text, strict=False)
    except ValueError:
        strict = _LIBERTIES.sub(_strict, text)
        if strict == text:
            raise
        return json.loads(strict, strict=False)


def _strict(found: re.Match[str]) -> str:
    piece = found[0]
    if piece == ",":
        return ""
    if piece[0] == "'" and len(piece) > 1 and piece[-1] == "'":
        inner = piece[1:-1].replace("\\'", "'").replace('"', '\\"')
        return f'"{inner}"'
    return piece if piece[0] in "\"'" else f'"{piece}"'


def to_message(tree: object) -> Any:
    """A JSON tree as a message; raises `MalformedConfigError` for what the schema does not know."""
    from google.protobuf import json_format

    message = model_config_messages().ModelConfig()
    if not isinstance(tree, dict):
        raise MalformedConfigError("expected a JSON object")
    try:
        json_format.ParseDict(_canonical(message.DESCRIPTOR, tree), message)
    except json_format.ParseError as error:
        raise MalformedConfigError(str(error)) from error
    _require_known_enums(message)
    return message


def to_config(message: Any) -> ModelConfig:
    """A complete message as a value."""
    return ModelConfig.parse(to_tree(message))


def _require_known_enums(message: Any) -> None:
    """Refuse numbers that stand for nothing: both grammars let them pass, and no code here has heard of them."""
    for field, value in message.ListFields():
        for item in value.values() if is_map(field) else value if is_repeated(field) else (value,):
            if field.enum_type is not None and item not in field.enum_type.values_by_number:
                raise MalformedConfigError(f'Enum type "{field.enum_type.full_name}" has no value {item}.')
            if hasattr(item, "ListFields"):
                _require_known_enums(item)


def _complete(message: Any, *, model_name: str, default_backend: str, gpus: int) -> ModelConfig:
    fill_defaults(message, model_name=model_name, default_backend=default_backend, gpus=gpus)
    return to_config(message)


def _canonical(descriptor: Any, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree with enum names in capitals, lists around single items, and flags that are no texts."""
    return {key: _canonical_value(_field(descriptor, key), value) for key, value in tree.items()}


def _field(descriptor: Any, key: str) -> Any:
    return descriptor.fields_by_name.get(key) or descriptor.fields_by_camelcase_name.get(key)


def _canonical_value(field: Any, value: Any) -> Any:
    if field is None:
        return value
    if is_map(field):
        inner = field.message_type.fields_by_name["value"]
        return {k: _canonical_value(inner, v) for k, v in value.items()} if isinstance(value, dict) else value
    if is_repeated(field) and value is not None:
        return [_canonical_item(field, item) for item in (value if isinstance(value, list) else [value])]
    return _canonical_item(field, value)


def _canonical_item(field: Any, value: Any) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        return value.upper()
    if field.cpp_type == field.CPPTYPE_BOOL and value in ("true", "false"):
        return value == "true"
    if field.message_type is not None and isinstance(value, dict):
        return _canonical(field.message_type, value)
    return value
