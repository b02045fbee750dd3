"""A model's configuration as frozen values, made once from its complete JSON tree.

Owns the fields that the server interprets; the tree itself keeps the others and is what clients and models are shown.
Must not know the text format, validation, or where a configuration comes from.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jupyter_pyserve.model.scheduling import DynamicBatching, EnsembleScheduling, SequenceBatching


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """An input tensor; `dims` without the batch dimension."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False
    allow_ragged_batch: bool = False
    reshape: tuple[int, ...] | None = None
    format: str = "FORMAT_NONE"
    is_shape_tensor: bool = False
    is_non_linear_format_io: bool = False

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> ModelInput:
        return cls(
            name=tree["name"],
            data_type=tree["data_type"],
            dims=tuple(tree["dims"]),
            optional=tree["optional"],
            allow_ragged_batch=tree["allow_ragged_batch"],
            reshape=_reshape(tree),
            format=tree["format"],
            is_shape_tensor=tree["is_shape_tensor"],
            is_non_linear_format_io=tree["is_non_linear_format_io"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """An output tensor; `dims` without the batch dimension."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None
    label_filename: str = ""
    is_shape_tensor: bool = False
    is_non_linear_format_io: bool = False

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> ModelOutput:
        return cls(
            name=tree["name"],
            data_type=tree["data_type"],
            dims=tuple(tree["dims"]),
            reshape=_reshape(tree),
            label_filename=tree["label_filename"],
            is_shape_tensor=tree["is_shape_tensor"],
            is_non_linear_format_io=tree["is_non_linear_format_io"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimiterResource:
    """Something that an instance needs so many of before it may run."""

    name: str
    is_global: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimiter:
    """What an instance's turn depends on, where the server limits rates."""

    resources: tuple[RateLimiterResource, ...] = ()
    priority: int = 0

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> RateLimiter:
        resources = tuple(
            RateLimiterResource(name=r["name"], is_global=r["global"], count=r["count"]) for r in tree["resources"]
        )
        return cls(resources=resources, priority=tree["priority"])


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceGroup:
    """Instances of one kind; `count` of them, on each GPU for KIND_GPU."""

    name: str
    kind: str = "KIND_CPU"
    count: int = 1
    gpus: tuple[int, ...] = ()
    profile: tuple[str, ...] = ()
    passive: bool = False
    host_policy: str = ""
    rate_limiter: RateLimiter | None = None

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> InstanceGroup:
        limiter = tree.get("rate_limiter")
        return cls(
            name=tree["name"],
            kind=tree["kind"],
            count=tree["count"],
            gpus=tuple(tree["gpus"]),
            profile=tuple(tree["profile"]),
            passive=tree["passive"],
            host_policy=tree["host_policy"],
            rate_limiter=None if limiter is None else RateLimiter.parse(limiter),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPolicy:
    """Which of the version directories are served: the latest so many, a list, or all when both are None."""

    latest: int | None = None
    specific: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> VersionPolicy:
        if "latest" in tree:
            return cls(latest=tree["latest"]["num_versions"])
        if "specific" in tree:
            return cls(specific=tuple(tree["specific"]["versions"]))
        return cls()

    def select(self, available: tuple[int, ...]) -> tuple[int, ...]:
        """The versions to serve of those present, ascending; maybe none."""
        present = sorted(set(available))
        if self.specific is not None:
            return tuple(v for v in present if v in self.specific)
        if self.latest is not None:
            return tuple(present[max(0, len(present) - self.latest) :])
        return tuple(present)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchInput:
    """A tensor made from a batch's shapes; validated and echoed, Python models never receive it."""

    kind: str
    target_names: tuple[str, ...]
    data_type: str
    source_inputs: tuple[str, ...]

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> BatchInput:
        return cls(
            kind=tree["kind"],
            target_names=tuple(tree["target_name"]),
            data_type=tree["data_type"],
            source_inputs=tuple(tree["source_input"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutput:
    """Outputs that are to be cut by their inputs' shapes; validated and echoed only."""

    kind: str
    target_names: tuple[str, ...]
    source_inputs: tuple[str, ...]

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> BatchOutput:
        return cls(
            kind=tree["kind"], target_names=tuple(tree["target_name"]), source_inputs=tuple(tree["source_input"])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupInput:
    """One input of a warm-up request: `source` is `zero_data`, `random_data`, `input_data_file` or empty."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    source: str = ""
    data_file: str = ""

    @classmethod
    def parse(cls, name: str, tree: Mapping[str, Any]) -> WarmupInput:
        source = next((k for k in ("zero_data", "random_data", "input_data_file") if k in tree), "")
        return cls(
            name=name,
            data_type=tree["data_type"],
            dims=tuple(tree["dims"]),
            source=source,
            data_file=tree.get("input_data_file", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """A request to run before the model counts as ready."""

    name: str
    batch_size: int
    inputs: tuple[WarmupInput, ...]
    count: int

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> Warmup:
        return cls(
            name=tree["name"],
            batch_size=tree["batch_size"],
            inputs=tuple(WarmupInput.parse(name, sub) for name, sub in tree["inputs"].items()),
            count=tree["count"],
        )

    @property
    def runs(self) -> int:
        """How often it runs: a count of 0 means once."""
        return self.count or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything about one model that is the same for all of its versions."""

    name: str
    platform: str
    backend: str
    runtime: str
    version_policy: VersionPolicy
    max_batch_size: int
    inputs: tuple[ModelInput, ...]
    outputs: tuple[ModelOutput, ...]
    batch_inputs: tuple[BatchInput, ...]
    batch_outputs: tuple[BatchOutput, ...]
    instance_groups: tuple[InstanceGroup, ...]
    dynamic_batching: DynamicBatching | None
    sequence_batching: SequenceBatching | None
    ensemble_scheduling: EnsembleScheduling | None
    default_model_filename: str
    metric_tags: Mapping[str, str]
    #: Bounds of the buckets of histograms, by the metric's name.
    histogram_bounds: Mapping[str, tuple[float, ...]]
    parameters: Mapping[str, str]
    decoupled: bool
    response_cache: bool
    #: PRIORITY_DEFAULT, PRIORITY_MAX or PRIORITY_MIN.
    priority: str
    warmups: tuple[Warmup, ...]
    agents: tuple[str, ...]
    _tree: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> ModelConfig:
        """From a complete tree: one in which every scalar, list and map is present."""
        dynamic = tree.get("dynamic_batching")
        sequence = tree.get("sequence_batching")
        ensemble = tree.get("ensemble_scheduling")
        return cls(
            name=tree["name"],
            platform=tree["platform"],
            backend=tree["backend"],
            runtime=tree["runtime"],
            version_policy=VersionPolicy.parse(tree.get("version_policy", {})),
            max_batch_size=tree["max_batch_size"],
            inputs=tuple(ModelInput.parse(t) for t in tree["input"]),
            outputs=tuple(ModelOutput.parse(t) for t in tree["output"]),
            batch_inputs=tuple(BatchInput.parse(t) for t in tree["batch_input"]),
            batch_outputs=tuple(BatchOutput.parse(t) for t in tree["batch_output"]),
            instance_groups=tuple(InstanceGroup.parse(g) for g in tree["instance_group"]),
            dynamic_batching=None if dynamic is None else DynamicBatching.parse(dynamic),
            sequence_batching=None if sequence is None else SequenceBatching.parse(sequence),
            ensemble_scheduling=None if ensemble is None else EnsembleScheduling.parse(ensemble),
            default_model_filename=tree["default_model_filename"],
            metric_tags=dict(tree["metric_tags"]),
            histogram_bounds=_histogram_bounds(tree.get("model_metrics", {})),
            parameters={name: value["string_value"] for name, value in tree["parameters"].items()},
            decoupled=tree.get("model_transaction_policy", {}).get("decoupled", False),
            response_cache=tree.get("response_cache", {}).get("enable", False),
            priority=tree.get("optimization", {}).get("priority", "PRIORITY_DEFAULT"),
            warmups=tuple(Warmup.parse(w) for w in tree["model_warmup"]),
            agents=tuple(a["name"] for a in tree.get("model_repository_agents", {}).get("agents", ())),
            _tree=tree,
        )

    def mentions(self, field: str) -> bool:
        """Whether an optional part of it has been written, or filled in."""
        return field in self._tree

    def with_decoupled(self, decoupled: bool) -> ModelConfig:
        """The same, but for whether a request may have any number of responses."""
        tree = {**self._tree, "model_transaction_policy": {"decoupled": decoupled}}
        return replace(self, decoupled=decoupled, _tree=tree)

    def with_member_namespaces(self, namespaces: Sequence[str]) -> ModelConfig:
        """The same of an ensemble, with the namespaces in which the members of its steps were found."""
        scheduling = self._tree["ensemble_scheduling"]
        steps = [{**step, "model_namespace": space} for step, space in zip(scheduling["step"], namespaces)]
        return replace(self, _tree={**self._tree, "ensemble_scheduling": {**scheduling, "step": steps}})

    def with_runtime(self, runtime: str) -> ModelConfig:
        """The same, with the runtime that its backend turned out to have."""
        return replace(self, runtime=runtime, _tree={**self._tree, "runtime": runtime})

    def with_instances_of(self, other: ModelConfig) -> ModelConfig:
        """The same, with another one's instance groups and version policy."""
        mutable = {key: other._tree[key] for key in _CHANGED_IN_PLACE if key in other._tree}
        return replace(
            self,
            instance_groups=other.instance_groups,
            version_policy=other.version_policy,
            _tree={**self._tree, **mutable},
        )

    def with_count(self, count: int) -> ModelConfig:
        """The same, with so many instances in its first group."""
        first, *others = self._tree["instance_group"]
        tree = {**self._tree, "instance_group": [{**first, "count": count}, *others]}
        groups = (replace(self.instance_groups[0], count=count), *self.instance_groups[1:])
        return replace(self, instance_groups=groups, _tree=tree)

    def differs_in_instances_only(self, other: ModelConfig) -> bool:
        """Whether what is loaded under one may be kept under the other."""
        return _lasting(self._tree) == _lasting(other._tree)

    def to_json_dict(self) -> dict[str, Any]:
        """What clients and models are shown, as a tree of the caller's own."""
        return copy.deepcopy(dict(self._tree))

    def to_json(self) -> str:
        """The same as compact text."""
        return json.dumps(self._tree, separators=(",", ":"), ensure_ascii=False)


#: What may change while a model's versions stay loaded.
_CHANGED_IN_PLACE: Final = ("instance_group", "version_policy")


def _lasting(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in _CHANGED_IN_PLACE}


def _reshape(tree: Mapping[str, Any]) -> tuple[int, ...] | None:
    reshape = tree.get("reshape")
    return None if reshape is None else tuple(reshape["shape"])


def _histogram_bounds(metrics: Mapping[str, Any]) -> Mapping[str, tuple[float, ...]]:
    return {
        control["metric_identifier"]["family"]: _bounds(control["histogram_options"]["buckets"])
        for control in metrics.get("metric_control", ())
        if "metric_identifier" in control and "histogram_options" in control
    }


def _bounds(buckets: Sequence[Any]) -> tuple[float, ...]:
    """In order, each once; infinity is a bound of every histogram's anyway."""
    return tuple(sorted({bound for bound in map(float, buckets) if math.isfinite(bound)}))
