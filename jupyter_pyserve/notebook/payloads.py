"""The JSON of the engine's control API, as types: what status, logs and a deployment's progress look like.

Types only: nothing here reads, checks or shows anything.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class CacheInfo(TypedDict):
    size_bytes: int
    used_bytes: int
    entries: int
    hits: int
    misses: int
    evictions: int


class SharedInfo(TypedDict, total=False):
    """An array that a kernel shares with models."""

    name: str
    dtype: str
    shape: list[int]
    nbytes: int
    references: list[str]


class HostInfo(TypedDict):
    """The machine as a whole."""

    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int


class EngineInfo(TypedDict, total=False):
    pid: int
    version: str
    started_at: float
    state: str
    repositories: list[str]
    http_url: str | None
    grpc_url: str | None
    metrics_url: str | None
    cache: CacheInfo | None
    shared: list[SharedInfo]
    host: HostInfo | None


class VersionInfo(TypedDict, total=False):
    version: str
    state: str
    reason: str


class InstanceInfo(TypedDict, total=False):
    name: str
    version: str
    pid: int | None
    state: str
    kind: str
    requests: int
    failures: int
    restarts: int
    busy_since_s: float | None
    current_request: str | None
    rss_bytes: int | None
    arena_bytes: int | None
    last_error: str | None
    debug: dict[str, int] | None
    draining: bool
    latency_ms: dict[str, float] | None
    # Sampled, and None unless somebody asked for samples.
    cpu_percent: float | None
    pss_bytes: int | None
    threads: int | None


class DeployInfo(TypedDict):
    """A deploy that can be gone back to."""

    version: str
    time: float
    owner: str | None


RolledBack = TypedDict("RolledBack", {"from": str, "version": str})


class RecordingInfo(TypedDict):
    id: str
    model: str
    version: str
    instance: str
    time: float
    error: str
    inputs: list[TensorInfo]
    parameters: dict[str, Any]
    request_id: str
    correlation_id: int | str
    flags: int
    nbytes: int
    kept: bool


class RecordedModel(TypedDict):
    """What a recorded request was executed by."""

    source: str
    model_file: str
    args: dict[str, str]
    #: Of the inputs, as the model sees them.
    shapes: dict[str, list[int]]


class StackInfo(TypedDict):
    """Where an instance is: the stacks of its threads, and what it executes since when, if it does."""

    stack: str
    request: str
    since_s: float | None


class Debugged(TypedDict):
    """Where a debugger may attach."""

    host: str
    port: int
    instance: str
    model_file: str


class TensorInfo(TypedDict):
    name: str
    datatype: str
    shape: list[int]


class ModelInfo(TypedDict, total=False):
    name: str
    state: str
    reason: str
    versions: list[VersionInfo]
    instances: list[InstanceInfo]
    max_batch_size: int
    decoupled: bool
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    owner: str | None
    queue_depth: int
    in_flight: int
    latency_ms: dict[str, float] | None
    deploys: list[DeployInfo]
    draining: bool


class EngineStatus(TypedDict):
    engine: EngineInfo
    models: list[ModelInfo]


class LogRecord(TypedDict, total=False):
    time: float
    instance: str
    version: str
    pid: int
    stream: str
    level: str
    text: str
    request: str
    seq: int


class FrameInfo(TypedDict, total=False):
    file: str
    line: int
    function: str
    text: str | None


class DeployEvent(TypedDict, total=False):
    """One line of a deployment's progress; the last one is `ready` or `error`."""

    event: Literal["progress", "ready", "error"]
    stage: str
    instance: str | None
    unchanged: bool
    model: ModelInfo
    elapsed_ms: float
    code: str
    message: str
    frames: list[FrameInfo]
    exception: str | None
    model_file: str


class Origin(TypedDict, total=False):
    """Where a deployed source comes from, for the engine to tell whoever looks."""

    kernel_id: str | None
    notebook: str | None
    cell: str | None


Json = dict[str, Any]
