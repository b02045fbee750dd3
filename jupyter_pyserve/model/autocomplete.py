"""Takes over what a model's own `auto_complete_config` answered, and only what it is allowed to change.

Owns the merge rules. Must not know how the function was run.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from jupyter_pyserve.model.defaults import PYTHON_BACKEND, fill_defaults
from jupyter_pyserve.model.pbtxt import MalformedConfigError, to_config, to_message
from jupyter_pyserve.model.values import ModelConfig

_SCHEDULERS: Final = ("dynamic_batching", "sequence_batching", "ensemble_scheduling")


class AutoCompleted(NamedTuple):
    """The configuration to go on with; `problem` says why the answer was set aside, if it was."""

    config: ModelConfig
    problem: str | None


def merge_auto_complete(config: ModelConfig, returned_json: str, *, gpus: int = 0) -> AutoCompleted:
    """An answer that cannot be converted is dropped as a whole, and loading goes on with the original."""
    try:
        returned = json.loads(returned_json)
        if not isinstance(returned, dict):
            raise MalformedConfigError("expected a JSON object")
        tree = _merge(config.to_json_dict(), returned)
        to_message(returned)  # a member that nobody knows sets all of it aside, as on Triton
        message = to_message(tree)
    except (ValueError, RecursionError) as error:
        return AutoCompleted(config, f"ignoring the auto-completed configuration of model '{config.name}': {error}")
    fill_defaults(message, model_name=config.name, default_backend=PYTHON_BACKEND, gpus=gpus)
    return AutoCompleted(to_config(message), None)


def _merge(tree: dict[str, Any], returned: dict[str, Any]) -> dict[str, Any]:
    for key in ("max_batch_size", "input", "output"):
        if key in returned:
            tree[key] = returned[key]
    configured = next((s for s in _SCHEDULERS if s in tree), None)
    offered = [s for s in _SCHEDULERS if s in returned]
    if configured is None:
        tree.update({s: returned[s] for s in offered})
    elif any(s != configured for s in offered):
        other = next(s for s in offered if s != configured)
        raise MalformedConfigError(f"scheduling_choice is '{configured}' and cannot become '{other}'")
    policy = returned.get("model_transaction_policy")
    if isinstance(policy, dict):
        tree["model_transaction_policy"] = {"decoupled": policy.get("decoupled", False)}
    return tree
