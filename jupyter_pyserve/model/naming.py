"""Names: of models in their namespaces, of a model's instances, and which names a model may have.

Owns these rules. Must not know processes or directories, though the names end up in both.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, NamedTuple

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.values import InstanceGroup, ModelConfig, RateLimiter

_SHELL_CHARACTERS: Final = frozenset(";|&$`<>()[]{}\\'\"*?~#!")
_MAX_NAME_BYTES: Final = 255


class Identity(NamedTuple):
    """Which model: its name, and where several repositories may have it, the one that it is in (its namespace)."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}::{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """One instance to start. As on Triton, the instances of one group on several GPUs share a name."""

    name: str
    group: str
    # Spelled as models are told: `CPU`, `GPU` or `MODEL`.
    kind: str
    device_id: int
    passive: bool = False
    host_policy: str = ""
    rate_limiter: RateLimiter | None = None


def instance_specs(config: ModelConfig) -> tuple[InstanceSpec, ...]:
    """Every instance of every group, in the order in which they start."""
    return tuple(
        InstanceSpec(
            name=f"{group.name}_{index}",
            group=group.name,
            kind=group.kind.removeprefix("KIND_"),
            device_id=device_id,
            passive=group.passive,
            host_policy=group.host_policy or _default_policy(group.kind, device_id),
            rate_limiter=group.rate_limiter,
        )
        for group in config.instance_groups
        for index in range(group.count)
        for device_id in _devices(group)
    )


def check_model_name(name: str) -> None:
    """Raise for a name that could not be a directory, a process's argument and a part of an address at once."""
    if not name:
        raise PyServeError(Code.INVALID_ARG, "Model name cannot be empty. Please enter a valid name to deploy.")
    # Said first, so that no text ever shows such a character as it is.
    if any(_is_control(character) for character in name):
        raise PyServeError(
            Code.INVALID_ARG, f"invalid model name {name!r}, model name must not contain control characters"
        )
    if "/" in name or "\\" in name or name in (".", ".."):
        raise PyServeError(
            Code.INVALID_ARG,
            f"invalid model name '{name}', model name must not contain path traversal characters",
        )
    reason = _objection(name)
    if reason is not None:
        raise PyServeError(Code.INVALID_ARG, f"invalid model name {name!r}, {reason}")


def _objection(name: str) -> str | None:
    if name[0] in ".-":
        return f"model name must not begin with '{name[0]}'"
    if ".." in name:
        return "model name must not contain '..'"
    shell = next((c for c in name if c in _SHELL_CHARACTERS), None)
    if shell is not None:
        return f"model name must not contain {shell!r}"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "model name must be valid Unicode"
    if length > _MAX_NAME_BYTES:
        return f"model name must not be longer than {_MAX_NAME_BYTES} bytes"
    return None


def _is_control(character: str) -> bool:
    # Invisible ones too: a name that reads backwards is shown in titles, logs and panels.
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def _devices(group: InstanceGroup) -> tuple[int, ...]:
    return group.gpus if group.kind == "KIND_GPU" else (0,)


def _default_policy(kind: str, device_id: int) -> str:
    if kind == "KIND_GPU":
        return f"gpu_{device_id}"
    return kind.removeprefix("KIND_").lower()
