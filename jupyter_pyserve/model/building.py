"""Writes a `config.pbtxt` that a person would have written: only what was asked for, in the usual order and layout.

Owns the text form. Must not know who asks, nor fill in defaults: reading the text again does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.defaults import PYTHON_BACKEND

_DATA_TYPES: Final = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "STRING", "BF16"),
)
_KINDS: Final = ("AUTO", "CPU", "GPU", "MODEL")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class TensorDeclaration(Protocol):
    """A tensor to declare; one that also has a true `optional` is declared so."""

    @property
    def name(self) -> str: ...
    @property
    def data_type(self) -> str: ...
    @property
    def dims(self) -> Sequence[int]: ...


def build_config(
    *,
    name: str,
    inputs: Sequence[TensorDeclaration] = (),
    outputs: Sequence[TensorDeclaration] = (),
    max_batch_size: int | None = None,
    instances: int | None = None,
    kind: str | None = None,
    dynamic_batching: bool = False,
    preferred_batch_size: Sequence[int] | None = None,
    max_queue_delay_us: int | None = None,
    decoupled: bool = False,
    parameters: Mapping[str, str] | None = None,
) -> str:
    """The text; raises for an unknown word and for an optional output.

    Types may be spelled `FP32`, `TYPE_FP32` or `BYTES`, kinds `cpu` or `KIND_CPU`.
    """
    for output in outputs:
        if getattr(output, "optional", False):
            raise PyServeError(Code.INVALID_ARG, f"output '{output.name}' cannot be optional, only inputs can")
    sections = [
        [f"name: {_quote(name)}", f'backend: "{PYTHON_BACKEND}"'],
        _tensors("input", inputs),
        _tensors("output", outputs),
        _instance_group(instances, kind),
        _batching(preferred_batch_size, max_queue_delay_us, wanted=dynamic_batching),
        _block("model_transaction_policy", ["decoupled: true"]) if decoupled else [],
        *(_parameter(key, value) for key, value in (parameters or {}).items()),
    ]
    if max_batch_size is not None:
        sections[0].append(f"max_batch_size: {max_batch_size}")
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"{head} {{", *(f"  {line}" for line in lines), "}"]


def _tensors(head: str, tensors: Sequence[TensorDeclaration]) -> list[str]:
    if not tensors:
        return []
    items = [["  {", *(f"    {line}" for line in _tensor(tensor)), "  }"] for tensor in tensors]
    for item in items[:-1]:
        item[-1] += ","
    return [f"{head} [", *(line for item in items for line in item), "]"]


def _tensor(tensor: TensorDeclaration) -> Iterator[str]:
    yield f"name: {_quote(tensor.name)}"
    yield f"data_type: {_data_type(tensor.data_type)}"
    yield f"dims: {_numbers(tensor.dims)}"
    if getattr(tensor, "optional", False):
        yield "optional: true"


def _instance_group(instances: int | None, kind: str | None) -> list[str]:
    if instances is None and kind is None:
        return []
    lines = [] if instances is None else [f"count: {instances}"]
    if kind is not None:
        lines.append(f"kind: {_choice(kind, 'KIND_', _KINDS, 'instance kind')}")
    return _block("instance_group", lines)


def _batching(preferred: Sequence[int] | None, delay_us: int | None, *, wanted: bool) -> list[str]:
    if not wanted and preferred is None and delay_us is None:
        return []
    lines = []
    if preferred is not None:
        lines.append(f"preferred_batch_size: {_numbers(preferred)}")
    if delay_us is not None:
        lines.append(f"max_queue_delay_microseconds: {delay_us}")
    return _block("dynamic_batching", lines) if lines else ["dynamic_batching { }"]


def _parameter(key: str, value: str) -> list[str]:
    return _block("parameters", [f"key: {_quote(key)}", f"value: {{ string_value: {_quote(value)} }}"])


def _data_type(text: str) -> str:
    return _choice("STRING" if text.upper() == "BYTES" else text, "TYPE_", _DATA_TYPES, "data type")


def _choice(text: str, prefix: str, known: tuple[str, ...], what: str) -> str:
    bare = text.upper().removeprefix(prefix)
    if bare not in known:
        raise PyServeError(Code.INVALID_ARG, f"unknown {what} '{text}', expected one of {', '.join(known)}")
    return prefix + bare


def _numbers(values: Iterable[int]) -> str:
    return f"[ {', '.join(str(int(value)) for value in values)} ]"


def _quote(text: str) -> str:
    return (
        '"' + "".join(_ESCAPES.get(c) or (f"\\{ord(c):03o}" if ord(c) < 0x20 or c == "\x7f" else c) for c in text) + '"'
    )
