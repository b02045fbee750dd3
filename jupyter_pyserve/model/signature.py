"""A model's tensors as requests see them, compiled once from its configuration and read for every request.

Owns the translation of configuration data types into protocol ones. Must not know requests, transports or schedulers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_pyserve.model.values import ModelConfig, ModelInput, ModelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output: `dims` without the batch dimension, -1 where the size is free."""

    name: str
    datatype: str
    dims: tuple[int, ...]
    optional: bool = False
    # What the model sees instead of `dims`; clients never see it.
    reshape: tuple[int, ...] | None = None
    # Requests whose shapes differ here may still share a batch.
    ragged: bool = False
    # Names of an output's classes, by index.
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Everything that a request to a model is checked against."""

    model_name: str
    max_batch_size: int
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    decoupled: bool = False
    # How many inputs the configuration lists; more than `inputs` when it lists a name twice.
    input_count: int = 0
    # Names of the inputs that a request must bring.
    required: frozenset[str] = frozenset()
    # Names of the inputs whose shapes must be equal within a batch.
    batch_keys: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, config: ModelConfig) -> Signature:
        inputs = {tensor.name: _input_spec(tensor) for tensor in config.inputs}
        return cls(
            model_name=config.name,
            max_batch_size=config.max_batch_size,
            inputs=inputs,
            outputs={tensor.name: _output_spec(tensor) for tensor in config.outputs},
            decoupled=config.decoupled,
            input_count=len(config.inputs),
            required=frozenset(name for name, spec in inputs.items() if not spec.optional),
            batch_keys=tuple(name for name, spec in inputs.items() if -1 in spec.dims and not spec.ragged),
        )

    def with_labels(self, labels: Mapping[str, tuple[str, ...]]) -> Signature:
        """The same, with the labels of outputs by their names."""
        outputs = {name: replace(spec, labels=labels.get(name, ())) for name, spec in self.outputs.items()}
        return replace(self, outputs=outputs)


def protocol_datatype(data_type: str) -> str:
    """`TYPE_FP32` -> `FP32`; strings travel as `BYTES`; the empty text when the configuration does not say."""
    if data_type == "TYPE_STRING":
        return "BYTES"
    if data_type == "TYPE_INVALID":
        return ""
    return data_type.removeprefix("TYPE_")


def config_datatype(datatype: str) -> str:
    """`FP32` -> `TYPE_FP32`, `BYTES` -> `TYPE_STRING`: the inverse of `protocol_datatype`."""
    if datatype == "BYTES":
        return "TYPE_STRING"
    return f"TYPE_{datatype or 'INVALID'}"


def _input_spec(tensor: ModelInput) -> TensorSpec:
    return TensorSpec(
        name=tensor.name,
        datatype=protocol_datatype(tensor.data_type),
        dims=tensor.dims,
        optional=tensor.optional,
        reshape=tensor.reshape,
        ragged=tensor.allow_ragged_batch,
    )


def _output_spec(tensor: ModelOutput) -> TensorSpec:
    return TensorSpec(
        name=tensor.name,
        datatype=protocol_datatype(tensor.data_type),
        dims=tensor.dims,
        reshape=tensor.reshape,
    )
