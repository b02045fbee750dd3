"""Judges inputs, outputs and the tensors derived from whole batches.

Owns the rules for one tensor's declaration. Must not know schedulers or instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Final

from jupyter_pyserve.model.values import BatchInput, ModelConfig, ModelInput, ModelOutput

_VARIABLE: Final = -1
_FORMATS_OF_THREE: Final = frozenset({"FORMAT_NHWC", "FORMAT_NCHW"})


def tensor_problems(config: ModelConfig) -> Iterator[str]:
    """Everything wrong with the tensors of a model."""
    for tensor in config.inputs:
        yield from _io_problems(config, tensor, "model input")
        if tensor.format in _FORMATS_OF_THREE and len(tensor.dims) != 3:
            yield f"model input NHWC/NCHW require 3 dims for {config.name}"
    for output in config.outputs:
        yield from _io_problems(config, output, "model output")
    for batch_input in config.batch_inputs:
        yield from _batch_input_problems(config, batch_input)
    for batch_output in config.batch_outputs:
        count = len(batch_output.source_inputs)
        if count != 1:
            yield f"batch output kind '{batch_output.kind}' expects 1 source input, got {count} for {config.name}"
        yield from _target_problems(config, batch_output.target_names)
        yield from _source_problems(config, batch_output.source_inputs)


def _io_problems(config: ModelConfig, tensor: ModelInput | ModelOutput, role: str) -> Iterator[str]:
    model = config.name
    if not tensor.name:
        yield f"{role} must specify 'name' for {model}"
    subject = f"{role} '{tensor.name}'"
    if tensor.data_type == "TYPE_INVALID":
        yield f"{subject} must specify 'data_type' for {model}"
    if not tensor.dims:
        yield f"{subject} must specify 'dims' for {model}"
    if not _legal(tensor.dims):
        yield f"{subject} dimension must be integer >= 1, or -1 to indicate a variable-size dimension for {model}"
    if tensor.reshape is not None:
        yield from _reshape_problems(config, tensor.dims, tensor.reshape, subject)
    if tensor.is_shape_tensor:
        yield f"shape tensors are only supported for TensorRT platform for {model}"
    if tensor.is_non_linear_format_io:
        yield f"Non-linear IO format is only supported for the TensorRT platform for {model}"


def _reshape_problems(
    config: ModelConfig, dims: tuple[int, ...], reshape: tuple[int, ...], subject: str
) -> Iterator[str]:
    model = config.name
    if config.max_batch_size == 0 and not reshape:
        yield (
            f"{subject} cannot have empty reshape for non-batching model as scalar tensors are not supported "
            f"for {model}"
        )
        return
    if not _legal(reshape):
        yield (
            f"{subject} reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension "
            f"for {model}"
        )
        return
    if not _legal(dims):
        return
    have, want = dims.count(_VARIABLE), reshape.count(_VARIABLE)
    if have and want and have != want:
        yield f"{subject} has different number of variable-size dimensions for dims and reshape for {model}"
    elif have != want or _segments(dims) != _segments(reshape):
        yield f"{subject} has different size for dims and reshape for {model}"


def _legal(dims: tuple[int, ...]) -> bool:
    return all(dim >= 1 or dim == _VARIABLE for dim in dims)


def _segments(dims: tuple[int, ...]) -> list[int]:
    """Element counts before, between and after the variable dimensions: a reshape must not move elements across."""
    ends = [i for i, dim in enumerate(dims) if dim == _VARIABLE]
    starts = [0, *(end + 1 for end in ends)]
    return [prod(dims[start:end]) for start, end in zip(starts, [*ends, len(dims)], strict=True)]


def _batch_input_problems(config: ModelConfig, batch_input: BatchInput) -> Iterator[str]:
    if batch_input.data_type == "TYPE_INVALID":
        yield f"unexpected batch input data type '{batch_input.data_type}'"
    elif batch_input.data_type not in ("TYPE_INT32", "TYPE_FP32"):
        yield f"batch input data type must be TYPE_INT32 or TYPE_FP32 for {config.name}"
    count = len(batch_input.source_inputs)
    if count != 1:
        yield f"batch input kind '{batch_input.kind}' expects 1 source input, got {count} for {config.name}"
    yield from _source_problems(config, batch_input.source_inputs)


def _source_problems(config: ModelConfig, sources: tuple[str, ...]) -> Iterator[str]:
    known = {tensor.name for tensor in config.inputs}
    for source in sources:
        if source not in known:
            yield f"unknown source input name '{source}' for {config.name}"


def _target_problems(config: ModelConfig, targets: tuple[str, ...]) -> Iterator[str]:
    known = {tensor.name for tensor in config.outputs}
    for index, target in enumerate(targets):
        if target not in known:
            yield f"unknown target output name '{target}' for {config.name}"
        elif target in targets[:index]:
            yield f"target output name '{target}' can only be specified once for {config.name}"
