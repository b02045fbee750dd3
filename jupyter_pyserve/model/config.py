"""The door to model configurations: everything about them that the rest of the server uses, under one name.

Owns nothing; the values, grammars and rules live in the modules beside it.
"""

from __future__ import annotations

from jupyter_pyserve.model.autocomplete import AutoCompleted, merge_auto_complete
from jupyter_pyserve.model.building import TensorDeclaration, build_config
from jupyter_pyserve.model.naming import Identity, InstanceSpec, check_model_name, instance_specs
from jupyter_pyserve.model.pbtxt import parse_json_config, parse_pbtxt, require_name, with_instance_count
from jupyter_pyserve.model.scheduling import (
    Control,
    ControlInput,
    DirectStrategy,
    DynamicBatching,
    EnsembleScheduling,
    EnsembleStep,
    OldestStrategy,
    QueuePolicy,
    SequenceBatching,
    TimeoutAction,
)
from jupyter_pyserve.model.validation import join_problems, validate_stage_a, validate_stage_b
from jupyter_pyserve.model.values import (
    BatchInput,
    BatchOutput,
    InstanceGroup,
    ModelConfig,
    ModelInput,
    ModelOutput,
    RateLimiter,
    RateLimiterResource,
    VersionPolicy,
    Warmup,
    WarmupInput,
)

__all__ = [
    "AutoCompleted",
    "BatchInput",
    "BatchOutput",
    "Control",
    "ControlInput",
    "DirectStrategy",
    "DynamicBatching",
    "EnsembleScheduling",
    "EnsembleStep",
    "Identity",
    "InstanceGroup",
    "InstanceSpec",
    "ModelConfig",
    "ModelInput",
    "ModelOutput",
    "OldestStrategy",
    "QueuePolicy",
    "RateLimiter",
    "RateLimiterResource",
    "SequenceBatching",
    "TensorDeclaration",
    "TimeoutAction",
    "VersionPolicy",
    "Warmup",
    "WarmupInput",
    "build_config",
    "check_model_name",
    "instance_specs",
    "join_problems",
    "merge_auto_complete",
    "parse_json_config",
    "parse_pbtxt",
    "require_name",
    "validate_stage_a",
    "validate_stage_b",
    "with_instance_count",
]
