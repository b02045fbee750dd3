"""The scheduler sections of a model configuration as values: dynamic batching, sequences, ensembles.

Owns their fields and defaults. Must not know how a scheduler uses them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class TimeoutAction(enum.Enum):
    """What happens to a request that waited longer than its queue allows."""

    REJECT = "REJECT"
    DELAY = "DELAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """Limits of one priority level's queue; 0 means no limit."""

    timeout_action: TimeoutAction = TimeoutAction.REJECT
    default_timeout_us: int = 0
    allow_timeout_override: bool = False
    max_queue_size: int = 0

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> QueuePolicy:
        return cls(
            timeout_action=TimeoutAction(tree["timeout_action"]),
            default_timeout_us=tree["default_timeout_microseconds"],
            allow_timeout_override=tree["allow_timeout_override"],
            max_queue_size=tree["max_queue_size"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicBatching:
    """How requests are gathered into batches."""

    preferred_batch_size: tuple[int, ...] = ()
    max_queue_delay_us: int = 0
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_priority_level: int = 0
    default_queue_policy: QueuePolicy | None = None
    priority_queue_policy: Mapping[int, QueuePolicy] = field(default_factory=dict)

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> DynamicBatching:
        default = tree.get("default_queue_policy")
        return cls(
            preferred_batch_size=tuple(tree["preferred_batch_size"]),
            max_queue_delay_us=tree["max_queue_delay_microseconds"],
            preserve_ordering=tree["preserve_ordering"],
            priority_levels=tree["priority_levels"],
            default_priority_level=tree["default_priority_level"],
            default_queue_policy=None if default is None else QueuePolicy.parse(default),
            priority_queue_policy={
                int(level): QueuePolicy.parse(policy) for level, policy in tree["priority_queue_policy"].items()
            },
        )

    def policy(self, level: int) -> QueuePolicy:
        """The policy of a priority level, its own or the default one."""
        own = self.priority_queue_policy.get(level)
        return own or self.default_queue_policy or QueuePolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A signal that a sequence batcher adds to requests, in one of four data types."""

    kind: str
    int32_false_true: tuple[int, ...] = ()
    fp32_false_true: tuple[float, ...] = ()
    bool_false_true: tuple[bool, ...] = ()
    data_type: str = "TYPE_INVALID"

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> Control:
        return cls(
            kind=tree["kind"],
            int32_false_true=tuple(tree["int32_false_true"]),
            fp32_false_true=tuple(map(float, tree["fp32_false_true"])),
            bool_false_true=tuple(tree["bool_false_true"]),
            data_type=tree["data_type"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlInput:
    """The tensor that carries a control."""

    name: str
    controls: tuple[Control, ...] = ()

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> ControlInput:
        return cls(name=tree["name"], controls=tuple(Control.parse(c) for c in tree["control"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectStrategy:
    """A sequence keeps its position in every batch of its instance."""

    max_queue_delay_us: int = 0
    minimum_slot_utilization: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestStrategy:
    """The requests of up to so many sequences are batched like unrelated ones."""

    max_candidate_sequences: int = 0
    preferred_batch_size: tuple[int, ...] = ()
    max_queue_delay_us: int = 0
    preserve_ordering: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialState:
    """What a sequence finds as its state at first: zeros, or what is in a file."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    zero_data: bool = False
    data_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A tensor that goes from one request of a sequence to the next: an output, then an input."""

    input_name: str
    output_name: str
    data_type: str
    dims: tuple[int, ...]
    initial: tuple[InitialState, ...] = ()
    use_same_buffer: bool = False
    use_growable_memory: bool = False

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> State:
        return cls(
            input_name=tree["input_name"],
            output_name=tree["output_name"],
            data_type=tree["data_type"],
            dims=tuple(tree["dims"]),
            initial=tuple(
                InitialState(
                    name=item["name"],
                    data_type=item["data_type"],
                    dims=tuple(int(dim) for dim in item["dims"]),  # texts in the tree, as Triton shows them
                    zero_data="zero_data" in item,
                    data_file=item.get("data_file", ""),
                )
                for item in tree["initial_state"]
            ),
            use_same_buffer=tree["use_same_buffer_for_input_output"],
            use_growable_memory=tree["use_growable_memory"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceBatching:
    """How the requests of one sequence stay with one instance. No strategy written means `direct`."""

    max_sequence_idle_us: int = 1_000_000
    control_inputs: tuple[ControlInput, ...] = ()
    direct: DirectStrategy | None = None
    oldest: OldestStrategy | None = None
    iterative_sequence: bool = False
    states: tuple[State, ...] = ()

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> SequenceBatching:
        direct = tree.get("direct")
        oldest = tree.get("oldest")
        return cls(
            max_sequence_idle_us=tree["max_sequence_idle_microseconds"],
            control_inputs=tuple(ControlInput.parse(c) for c in tree["control_input"]),
            direct=None
            if direct is None
            else DirectStrategy(
                max_queue_delay_us=direct["max_queue_delay_microseconds"],
                minimum_slot_utilization=float(direct["minimum_slot_utilization"]),
            ),
            oldest=None
            if oldest is None
            else OldestStrategy(
                max_candidate_sequences=oldest["max_candidate_sequences"],
                preferred_batch_size=tuple(oldest["preferred_batch_size"]),
                max_queue_delay_us=oldest["max_queue_delay_microseconds"],
                preserve_ordering=oldest["preserve_ordering"],
            ),
            iterative_sequence=tree["iterative_sequence"],
            states=tuple(State.parse(item) for item in tree["state"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleStep:
    """One member of an ensemble: its tensor names mapped to the ensemble's."""

    model_name: str
    model_version: int = -1
    input_map: Mapping[str, str] = field(default_factory=dict)
    output_map: Mapping[str, str] = field(default_factory=dict)
    model_namespace: str = ""

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> EnsembleStep:
        return cls(
            model_name=tree["model_name"],
            model_version=tree["model_version"],
            input_map=dict(tree["input_map"]),
            output_map=dict(tree["output_map"]),
            model_namespace=tree.get("model_namespace", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleScheduling:
    """The members of an ensemble and what flows between them."""

    steps: tuple[EnsembleStep, ...] = ()
    max_inflight_requests: int = 0

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> EnsembleScheduling:
        return cls(
            steps=tuple(EnsembleStep.parse(s) for s in tree["step"]),
            max_inflight_requests=tree.get("max_inflight_requests", 0),
        )
