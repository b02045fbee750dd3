"""The `ModelConfig` that `auto_complete_config` edits: a parsed configuration and the rules of what may be added to it.

What does not agree with the configuration in the file is a `ValueError` with Triton's text; what the server makes of
the result is not known here.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple

_CONTEXT = "in auto-complete-config function for model"


class _Side(NamedTuple):
    """The inputs or the outputs: how they are called, where they are kept, and what may be said of one."""

    noun: str
    key: str
    properties: list[str]
    listed: str


_INPUT = _Side(
    "input", "input", ["name", "data_type", "dims", "optional"], "'name', 'data_type', 'dims' and 'optional'"
)
_OUTPUT = _Side("output", "output", ["name", "data_type", "dims"], "'name', 'data_type' and 'dims'")
_REQUIRED = ("data_type", "dims")


class ModelConfig:
    """`ModelConfig(json_text)`: edited in place by the methods below, or freely through `as_dict()`."""

    __module__ = "triton_python_backend_utils"

    def __init__(self, model_config: str) -> None:
        self._model_config: dict[str, Any] = json.loads(model_config)

    def as_dict(self) -> dict[str, Any]:
        """The configuration itself: edits are kept."""
        return self._model_config

    def _to_json(self) -> str:
        """The configuration as compact JSON text."""
        return json.dumps(self._model_config, separators=(",", ":"))

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Sets the maximum batch size, which may grow only."""
        current = self._model_config.get("max_batch_size", 0)
        if current > max_batch_size:
            raise ValueError(
                f"configuration specified max_batch_size {current}, but in auto-complete-config function for model"
                f" '{self._name}' specified max_batch_size {max_batch_size}"
            )
        self._model_config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Chooses the dynamic batcher, unless another scheduler was chosen."""
        for other in ("sequence_batching", "ensemble_scheduling"):
            if other in self._model_config:
                raise ValueError(
                    f"Configuration specified scheduling_choice as '{other}', but auto-complete-config function for"
                    f" model '{self._name}' tries to set scheduling_choice as 'dynamic_batching'"
                )
        self._model_config.setdefault("dynamic_batching", {})

    def add_input(self, input: Mapping[str, Any]) -> None:  # noqa: A002 - the name that models call it by
        """Adds an input, or completes the one of that name: `{"name", "data_type", "dims", "optional"}`."""
        self._add(_INPUT, input)

    def add_output(self, output: Mapping[str, Any]) -> None:
        """Adds an output, or completes the one of that name: `{"name", "data_type", "dims"}`."""
        self._add(_OUTPUT, output)

    def set_model_transaction_policy(self, transaction_policy_dict: Mapping[str, Any]) -> None:
        """Sets `{"decoupled": bool}`, which must not contradict what was set."""
        if any(key != "decoupled" for key in transaction_policy_dict):
            raise ValueError(
                f"model transaction property {_CONTEXT} '{self._name}' contains property other than 'decoupled'."
            )
        policy = self._model_config.setdefault("model_transaction_policy", {})
        if "decoupled" not in transaction_policy_dict:
            return
        wanted = transaction_policy_dict["decoupled"]
        if policy.get("decoupled", wanted) != wanted:
            raise ValueError(
                f"trying to change decoupled property in auto-complete-config for model '{self._name}', which is"
                f" already set to '{policy['decoupled']}'."
            )
        policy["decoupled"] = wanted

    @property
    def _name(self) -> Any:
        return self._model_config["name"]

    def _add(self, side: _Side, tensor: Mapping[str, Any]) -> None:
        self._check_properties(side, tensor)
        tensors = self._model_config.setdefault(side.key, [])
        for existing in tensors:
            if existing["name"] == tensor["name"]:
                self._check_agreement(side, existing, tensor)
                existing.update(tensor)
                return
        tensors.append(tensor)

    def _check_properties(self, side: _Side, tensor: Mapping[str, Any]) -> None:
        where = f"{_CONTEXT} '{self._name}'"
        for key in tensor:
            if key not in side.properties:
                raise ValueError(f"{side.noun} '{tensor['name']}' {where} contains property other than {side.listed}.")
        if "name" not in tensor:
            raise ValueError(f"{side.noun} {where} is missing 'name' property.")
        for key in _REQUIRED:
            if key not in tensor:
                raise ValueError(f"{side.noun} '{tensor['name']}' {where} is missing '{key}' property.")

    def _check_agreement(self, side: _Side, existing: Mapping[str, Any], tensor: Mapping[str, Any]) -> None:
        name = tensor["name"]
        data_type = existing.get("data_type", "TYPE_INVALID")
        if data_type not in ("TYPE_INVALID", tensor["data_type"]):
            raise ValueError(
                f"unable to load model '{self._name}', configuration expects datatype {data_type} for {side.noun}"
                f" '{name}', model provides {tensor['data_type']}"
            )
        for key in ("dims", "optional"):
            given = existing.get(key)
            if key not in tensor or given is None or given == [] or given == tensor[key]:
                continue
            raise ValueError(
                f"model '{self._name}', tensor '{name}': the model expects {key} {tensor[key]} but the model"
                f" configuration specifies {key} {given}"
            )
