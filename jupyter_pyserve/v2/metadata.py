"""What a server says about itself and its models: metadata, configuration, statistics, index and error bodies.

Turns values into the JSON of the answers; where the values come from is the engine's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jupyter_pyserve.v2 import jsonout

if TYPE_CHECKING:
    from jupyter_pyserve.model.signature import Signature, TensorSpec

EXTENSIONS: Final = (
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    "system_shared_memory",
    "cuda_shared_memory",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
)
"""Triton's list in Triton's order; clients look names up in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """One version of a model in the repository index; a model that was never loaded has only its name."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


def server_metadata(server_id: str, version: str) -> bytes:
    return jsonout.dumps({"name": server_id, "version": version, "extensions": list(EXTENSIONS)})


def health(state: str) -> bytes:
    """What a server in good health says of itself, in the protocol's words."""
    return jsonout.dumps({state: True})


def model_metadata(signature: Signature, *, versions: Sequence[str], platform: str) -> bytes:
    """Metadata of a model, for the versions given (ascending)."""
    return jsonout.dumps(model_metadata_dict(signature, versions=versions, platform=platform))


def model_metadata_dict(signature: Signature, *, versions: Sequence[str], platform: str) -> dict[str, Any]:
    batched = signature.max_batch_size >= 1
    return {
        "name": signature.model_name,
        "versions": list(versions),
        "platform": platform,
        "inputs": [_tensor(spec, batched) for spec in signature.inputs.values()],
        "outputs": [_tensor(spec, batched) for spec in signature.outputs.values()],
    }


def model_config(config: Mapping[str, Any]) -> bytes:
    """A completed configuration, already as its JSON members."""
    return jsonout.dumps(config)


def statistics(models: Iterable[Mapping[str, Any]]) -> bytes:
    """Statistics of model versions, each already as its JSON members."""
    return jsonout.dumps({"model_stats": list(models)})


def index(rows: Iterable[IndexRow], *, ready_only: bool = False) -> bytes:
    """The repository index; rows stay in their order."""
    return jsonout.dumps(index_rows(rows, ready_only=ready_only))


def index_rows(rows: Iterable[IndexRow], *, ready_only: bool = False) -> list[dict[str, str]]:
    """What the repository index holds."""
    return [_index_row(row) for row in rows if not ready_only or row.state == "READY"]


def error(message: str) -> bytes:
    """The body of every failed request, health probes excepted."""
    return jsonout.dumps({"error": message})


def _tensor(spec: TensorSpec, batched: bool) -> dict[str, Any]:
    shape = [-1, *spec.dims] if batched else list(spec.dims)
    return {"name": spec.name, "datatype": spec.datatype, "shape": shape}


def _index_row(row: IndexRow) -> dict[str, str]:
    members = {"name": row.name, "version": row.version, "state": row.state, "reason": row.reason}
    return {key: value for key, value in members.items() if value}
