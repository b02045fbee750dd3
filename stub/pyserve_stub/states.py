"""Implicit state of sequences: what a model last returned under a state's output is that state's input next time.

It stays in the process where its sequence is, in the slot that the engine says. Knows nothing of batches.
"""

from __future__ import annotations

import math
from typing import Any, Iterable, Mapping, NamedTuple

import numpy as np

from .placing import INTERNAL, Placer, failure
from .responses import InferenceResponse
from .session import Session
from .slots import itemsize
from .tensors import Tensor
from .wire import frames
from .wire.datatypes import NAMES
from .wire.frames import PlainRequest, PlainResponse

_START = 1


class State(NamedTuple):
    """One state, as the configuration has it: how a sequence finds it at first."""

    input: str
    output: str
    code: int
    shape: tuple[int, ...]
    data: bytes


class _Value(NamedTuple):
    """What a model returned."""

    code: int
    shape: tuple[int, ...]
    data: bytes


class States:
    """The states of all sequences of one instance. Requests are known by their keys."""

    def __init__(self, given: Iterable[Mapping[str, Any]]) -> None:
        self._states = [_state(item) for item in given]
        self._outputs = {state.output: state for state in self._states}
        self._kept: dict[int, dict[str, _Value]] = {}
        self._slots: dict[int, int] = {}
        self._keys: dict[int, int] = {}

    def inputs(self, key: int, slot: int | None, flags: int) -> list[Tensor]:
        """What a request is given; one without a slot only fills one, and its answer changes nothing."""
        kept: dict[str, _Value] = {}
        if slot is not None:
            self._slots.pop(self._keys.get(slot, -1), None)  # one at a time executes there
            self._keys[slot], self._slots[key] = key, slot
            if flags & _START:
                self._kept[slot] = {}
            kept = self._kept.setdefault(slot, {})
        return [_tensor(state.input, kept.get(state.output, state)) for state in self._states]

    def keep(self, key: int, response: InferenceResponse) -> None:
        """A request is answered; raises when what is to be kept is not what was said it would be."""
        slot = self._slots.get(key)
        if slot is None or response._error is not None:
            return
        for tensor in response._outputs:
            state = self._outputs.get(tensor._name)
            if state is not None:
                code, shape, payload = tensor._wire()
                if code != state.code:
                    raise ValueError(f"'{state.output}' is {NAMES[code]}, not {NAMES[state.code]}")
                self._kept[slot][state.output] = _Value(code, shape, bytes(payload))


class KeepingPlacer(Placer):
    """Keeps the states among a model's outputs before they are placed, or dropped because nobody asked for them."""

    def __init__(self, session: Session, patience_s: float, states: States) -> None:
        super().__init__(session, patience_s)
        self._states = states

    def respond(
        self, frame: PlainRequest, wanted: frozenset[str], answer: InferenceResponse, flags: int = frames.FINAL
    ) -> PlainResponse:
        try:
            self._states.keep(frame[0], answer)
        except Exception as fault:  # noqa: BLE001 - whatever a tensor's class of the model's own raises
            return failure(frame[0], INTERNAL, f"Failed to keep the state of the sequence: {fault}", flags)
        return super().respond(frame, wanted, answer, flags)


def _state(given: Mapping[str, Any]) -> State:
    shape, code = tuple(given["shape"]), given["code"]
    data = given["data"]
    zeros = bytes(math.prod(shape) * itemsize(code))
    return State(given["input"], given["output"], code, shape, zeros if data is None else bytes.fromhex(data))


def _tensor(name: str, value: State | _Value) -> Tensor:
    """A tensor of the request's own, to do with as it likes."""
    memory = np.frombuffer(bytearray(value.data), np.uint8)
    return Tensor._from_memory(name, value.code, value.shape, memory, True)
