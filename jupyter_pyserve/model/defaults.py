"""Fills what a configuration leaves unsaid, so that everybody after this sees one complete form.

Owns the default values. Works on the message in place and is idempotent; must not judge what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ENSEMBLE_PLATFORM: Final = "ensemble"
PYTHON_BACKEND: Final = "python"
PYTHON_FILENAME: Final = "model.py"
DEFAULT_SEQUENCE_IDLE_US: Final = 1_000_000

#: Triton's other backends: their platforms, and the files that those are.
PLATFORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "tensorflow": {"tensorflow_graphdef": "model.graphdef", "tensorflow_savedmodel": "model.savedmodel"},
    "tensorrt": {"tensorrt_plan": "model.plan"},
    "onnxruntime": {"onnxruntime_onnx": "model.onnx"},
    "pytorch": {"pytorch_libtorch": "model.pt"},
}


def fill_defaults(message: Any, *, model_name: str, default_backend: str, gpus: int) -> None:
    """`default_backend` is what the model's files suggest; `gpus` how many can be used."""
    if not message.name:
        message.name = model_name
    _fill_backend(message, default_backend)
    if not message.HasField("version_policy"):
        message.version_policy.latest.num_versions = 1
    _fill_scheduler(message)
    if message.platform == ENSEMBLE_PLATFORM:
        if not message.HasField("model_transaction_policy"):
            message.model_transaction_policy.decoupled = False
        return
    optimization = message.optimization
    for buffer in ("input_pinned_memory", "output_pinned_memory"):
        if not optimization.HasField(buffer):
            getattr(optimization, buffer).enable = True
    _fill_instance_groups(message, gpus)


def _fill_backend(message: Any, default_backend: str) -> None:
    if not message.platform and not message.backend:
        # Without a file to go by, a model may be named after its backend, like `resize.python`.
        stem, _, suffix = message.name.rpartition(".")
        message.backend = default_backend or (suffix if stem else "")
    for backend, platforms in PLATFORMS.items():
        if not message.backend and message.platform in platforms:
            message.backend = backend
        if message.backend == backend and not message.platform and len(platforms) == 1:
            (message.platform,) = platforms
        # A file of TensorFlow's is looked for whatever the backend is.
        if message.platform in platforms and (message.backend == backend or backend == "tensorflow"):
            message.default_model_filename = message.default_model_filename or platforms[message.platform]
    if message.backend == PYTHON_BACKEND and not message.default_model_filename:
        message.default_model_filename = PYTHON_FILENAME


def _fill_scheduler(message: Any) -> None:
    chosen = message.WhichOneof("scheduling_choice")
    if chosen == "dynamic_batching":
        _fill_preferred(message.dynamic_batching.preferred_batch_size, message.max_batch_size)
    elif chosen == "sequence_batching":
        sequence = message.sequence_batching
        if sequence.max_sequence_idle_microseconds == 0:
            sequence.max_sequence_idle_microseconds = DEFAULT_SEQUENCE_IDLE_US
        if sequence.WhichOneof("strategy_choice") == "oldest":
            _fill_preferred(sequence.oldest.preferred_batch_size, message.max_batch_size)


def _fill_preferred(preferred: Any, max_batch_size: int) -> None:
    if not preferred and max_batch_size > 0:
        preferred.append(max_batch_size)


def _fill_instance_groups(message: Any, gpus: int) -> None:
    if not message.instance_group:
        message.instance_group.add().name = message.name
    kinds = message.instance_group[0].DESCRIPTOR.enum_types_by_name["Kind"].values_by_name
    automatic, gpu, cpu = (kinds[name].number for name in ("KIND_AUTO", "KIND_GPU", "KIND_CPU"))
    for index, group in enumerate(message.instance_group):
        if not group.name:
            group.name = f"{message.name}_{index}"
        group.count = max(1, group.count)
        if group.kind == automatic:
            group.kind = gpu if gpus > 0 and all(0 <= g < gpus for g in group.gpus) else cpu
        if group.kind == gpu and not group.gpus:
            group.gpus.extend(range(gpus))
