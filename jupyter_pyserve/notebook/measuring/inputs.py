"""Inputs for a model that nobody has given any: zeros and a text, in the shapes that it declares. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jupyter_pyserve.notebook.arrays import Array, dtype_of
from jupyter_pyserve.notebook.payloads import TensorInfo


def example_inputs(tensors: Sequence[TensorInfo], *, batch_size: int | None) -> dict[str, Array]:
    """One array for each; dimensions that may be anything are 1, the first one of a batch is its size."""
    return {tensor["name"]: _example(tensor, batch_size) for tensor in tensors}


def _example(tensor: TensorInfo, batch_size: int | None) -> Array:
    shape = [1 if size < 0 else int(size) for size in tensor["shape"]]
    if batch_size is not None and shape:
        shape[0] = batch_size
    if tensor["datatype"] == "BYTES":
        texts: Array = np.full(shape, b"text", dtype=object)
        return texts
    return np.zeros(shape, dtype_of(tensor["datatype"]))


def required(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> list[TensorInfo]:
    """The inputs of a model that may not be left out."""
    optional = {item["name"] for item in config.get("input", []) if item.get("optional")}
    return [tensor for tensor in metadata["inputs"] if tensor["name"] not in optional]
