"""The tensors that tell a model where in its sequence a request is: START, END, READY and CORRID.

Owns their values in all data types, and which correlation ids fit. Must not know how they reach a model.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from jupyter_pyserve.model.scheduling import Control, SequenceBatching
from jupyter_pyserve.model.sequence_turns import END, START, CorrelationId
from jupyter_pyserve.model.signature import protocol_datatype

_BITS: Final = {"UINT64": 64, "INT64": 64, "UINT32": 32, "INT32": 32}

#: Whether a control is true of a request with these flags in a slot that has (or has not) something to execute.
_SIGNALS: Final[dict[str, Callable[[int, bool], bool]]] = {
    "CONTROL_SEQUENCE_START": lambda flags, ready: bool(flags & START),
    "CONTROL_SEQUENCE_END": lambda flags, ready: bool(flags & END),
    "CONTROL_SEQUENCE_READY": lambda flags, ready: ready,
}
_CORRID: Final = "CONTROL_SEQUENCE_CORRID"


class ControlTensor(NamedTuple):
    """One element of a protocol datatype, in wire form."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes


_Maker: TypeAlias = Callable[[CorrelationId, int, bool], ControlTensor]


class Controls:
    """The control tensors that a configuration asks for."""

    __slots__ = ("_corrid", "_makers")

    def __init__(self, config: SequenceBatching, *, batched: bool) -> None:
        shape = (1, 1) if batched else (1,)
        self._makers: list[_Maker] = []
        self._corrid: tuple[str, str] | None = None
        for control_input in config.control_inputs:
            for control in control_input.controls:
                if control.kind == _CORRID:
                    self._corrid = control_input.name, protocol_datatype(control.data_type)
                    self._makers.append(_corrid(*self._corrid, shape))
                else:
                    self._makers.append(_signal(control_input.name, control, shape))

    def tensors(self, correlation_id: CorrelationId, flags: int, *, ready: bool = True) -> list[ControlTensor]:
        """What goes with a request; with one that only fills a slot when it is not `ready`."""
        return [make(correlation_id, flags, ready) for make in self._makers]

    def mismatch(self, correlation_id: CorrelationId, model_name: str) -> str:
        """Why the model cannot be told this correlation id; empty if it can."""
        if self._corrid is None:
            return ""
        name, datatype = self._corrid
        given = "BYTES" if isinstance(correlation_id, str) else "UINT64"
        if (given == "BYTES") == (datatype == "BYTES"):
            return ""
        return (
            f"sequence batching control '{name}' data-type is '{given}', but model '{model_name}' expects '{datatype}'"
        )


def _signal(name: str, control: Control, shape: tuple[int, ...]) -> _Maker:
    datatype, form, pair = next(
        (datatype, form, pair)
        for datatype, form, pair in (
            ("INT32", "<i", control.int32_false_true),
            ("FP32", "<f", control.fp32_false_true),
            ("BOOL", "<?", control.bool_false_true),
        )
        if pair
    )
    off, on = (ControlTensor(name, datatype, shape, struct.pack(form, value)) for value in pair)
    holds = _SIGNALS[control.kind]
    return lambda correlation_id, flags, ready: on if holds(flags, ready) else off


def _corrid(name: str, datatype: str, shape: tuple[int, ...]) -> _Maker:
    def make(correlation_id: CorrelationId, flags: int, ready: bool) -> ControlTensor:
        if datatype == "BYTES":
            text = str(correlation_id or "").encode("utf-8", "surrogateescape")
            data = struct.pack("<I", len(text)) + text
        else:
            number = correlation_id if isinstance(correlation_id, int) else 0
            bits = _BITS[datatype]
            data = (number % 2**bits).to_bytes(bits // 8, "little")  # what does not fit is cut off, as in Triton
        return ControlTensor(name, datatype, shape, data)

    return make
