"""What sequences find as their implicit state at first: zeros, or the contents of files beside the model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pyserve_stub.wire.datatypes import BYTES, CODES, ITEMSIZE

from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.scheduling import InitialState, State
from jupyter_pyserve.model.signature import protocol_datatype


def initial_states(config: ModelConfig, model_dir: str) -> list[dict[str, Any]]:
    """As a stub is told them; blocks, and raises `LoadFailure` when a file is not there or too short."""
    states = config.sequence_batching.states if config.sequence_batching is not None else ()
    batch = (1,) if config.max_batch_size > 0 else ()
    # One without a type is no tensor; on Triton, too, such a model loads.
    return [_described(state, batch, model_dir) for state in states if state.data_type != "TYPE_INVALID"]


def _described(state: State, batch: tuple[int, ...], model_dir: str) -> dict[str, Any]:
    initial = state.initial[0] if state.initial else None
    # Triton leaves what nobody describes as it finds it, one element where a dimension is open; here it is zeros.
    dims = initial.dims if initial is not None else tuple(1 if dim < 0 else dim for dim in state.dims)
    code = CODES[protocol_datatype(state.data_type)]
    data = None
    if initial is not None and not initial.zero_data:
        data = _contents(initial, code, math.prod(dims), Path(model_dir, "initial_state", initial.data_file)).hex()
    shape = (*batch, *dims)
    return {"input": state.input_name, "output": state.output_name, "code": code, "shape": shape, "data": data}


def _contents(initial: InitialState, code: int, elements: int, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LoadFailure(f"failed to open text file for read {path}: {error.strerror}") from error
    if code == BYTES:
        return data
    nbytes = elements * ITEMSIZE[code]
    if len(data) < nbytes:
        text = (
            f"initial_state setting expects {nbytes} bytes, but the data provided from {initial.data_file}only has "
            f"{len(data)} bytes."
        )
        raise LoadFailure(text, kind="Invalid argument")
    return data[:nbytes]
