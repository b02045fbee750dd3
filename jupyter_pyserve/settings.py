"""The engine's settings: one frozen value, made once at the edge (command line or Jupyter traits) and read everywhere.

Defaults are written here and nowhere else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ControlMode(enum.Enum):
    """Who decides which models are loaded (Triton's --model-control-mode)."""

    NONE = "none"
    POLL = "poll"
    EXPLICIT = "explicit"


class LogFormat(enum.Enum):
    """How a line of the engine's log begins (Triton's --log-format)."""

    DEFAULT = "default"
    ISO8601 = "ISO8601"


class TraceMode(enum.Enum):
    """Where traces go: to a file in Triton's format, or to an OpenTelemetry collector."""

    TRITON = "triton"
    OPENTELEMETRY = "opentelemetry"


class Category(enum.Enum):
    """A part of the protocol that can be kept for some clients, by its name on the command line."""

    HEALTH = "health"
    METADATA = "metadata"
    INFERENCE = "inference"
    SHARED_MEMORY = "shared-memory"
    MODEL_CONFIG = "model-config"
    MODEL_REPOSITORY = "model-repository"
    STATISTICS = "statistics"
    TRACE = "trace"
    LOGGING = "logging"


class Key(NamedTuple):
    """The header that opens a part, and the value that it must have."""

    header: str
    value: str


Restrictions = Mapping[Category, Key]


@dataclass(frozen=True, slots=True)
class RateLimitResource:
    """How much there is of a resource that instances need: on one device, or on each where `device` is None."""

    name: str
    count: int
    device: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Which lines the engine's log has, and where it goes: to standard error when `file` is empty."""

    info: bool = True
    warning: bool = True
    error: bool = True
    verbose_level: int = 0
    format: LogFormat = LogFormat.DEFAULT
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """What a scrape finds (Triton's --metrics-config and its kin)."""

    #: How old a reading of the machine may be.
    interval_s: float = 2.0
    cpu: bool = True
    gpu: bool = True
    #: Which GPUs there are (CUDA_VISIBLE_DEVICES); None is all.
    visible_gpus: str | None = None
    counter_latencies: bool = True
    summary_latencies: bool = False
    summary_quantiles: tuple[float, ...] = (0.5, 0.9, 0.95, 0.99, 0.999)
    histogram_latencies: bool = False
    first_response_bounds_ms: tuple[float, ...] = (100, 500, 2000, 5000)
    #: What the gauge of Triton's pinned memory pool says; there is no such pool.
    pinned_pool_nbytes: int = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """What is traced of which requests (Triton's --trace-config); no levels is off, a count of -1 has no end."""

    levels: tuple[str, ...] = ()
    rate: int = 1000
    count: int = -1
    log_frequency: int = 0
    file: str = ""
    mode: TraceMode = TraceMode.TRITON
    #: The mode's own settings by name, as they were given; one may be there several times.
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What the engine is told at start; sizes are bytes, times seconds."""

    server_id: str = "triton"
    model_repositories: tuple[str, ...] = ()
    control_mode: ControlMode = ControlMode.NONE
    load_models: tuple[str, ...] = ()
    auto_complete: bool = True
    exit_on_error: bool = True
    exit_timeout_s: float = 30.0
    #: How long the requests of a version that was replaced or unloaded may go on before its processes are ended.
    drain_timeout_s: float = 300.0
    strict_readiness: bool = True
    #: How many GPUs models may use.
    gpu_count: int = 0
    #: Whether clients may register shared memory of their own.
    allow_client_shm: bool = False
    model_config_name: str = ""
    load_thread_count: int = 4
    #: How often the load of a version that has failed is tried again at once.
    load_retry_count: int = 0
    #: How long control mode `poll` waits between two looks at the repositories.
    poll_interval_s: float = 15.0
    #: Whether models are told apart by their repository, too.
    model_namespacing: bool = False
    #: Upper limit of each arena: a model's requests, an instance's responses, a lane.
    arena_limit_nbytes: int = 8 << 30
    #: Limit of JSON bodies, of tensors given as JSON, and of raw requests.
    http_max_input_nbytes: int = 64 << 20
    #: Where backends beside "python" are, each a directory with a model.py.
    backend_directory: str = ""
    #: (backend, key, value) of each --backend-config; judged when a model of that backend is loaded.
    backend_config: tuple[tuple[str, str, str], ...] = ()
    #: How much of their answers models with a response cache share; None is no cache.
    cache_nbytes: int | None = None
    #: Whether instances execute by turns and within resources, as their configurations say.
    rate_limit: bool = False
    rate_limit_resources: tuple[RateLimitResource, ...] = ()
    #: (policy, setting, value) of each --host-policy; judged when an instance of that policy starts.
    host_policies: tuple[tuple[str, str, str], ...] = ()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    trace: TraceSettings = TraceSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepaliveSettings:
    """gRPC's keepalive arguments, in seconds; None is never."""

    time_s: float = 7200.0
    timeout_s: float = 20.0
    permit_without_calls: bool = False
    min_recv_ping_interval_s: float = 300.0
    max_ping_strikes: int = 2
    max_connection_age_s: float | None = None
    max_connection_age_grace_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Files of PEM text; `mutual` asks clients for certificates of the root's."""

    certificate: str
    key: str
    root: str = ""
    mutual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSettings:
    """How gRPC is spoken. `compression` is "none", "low", "medium" or "high", for the answers to inferences."""

    compression: str = "none"
    #: (group of methods, key, value) for each group that is only for those who know what belongs to the key.
    restricted: tuple[tuple[str, str, str], ...] = ()
    #: Which of a call's metadata become parameters of its requests; empty is none.
    forward_pattern: str = ""
    keepalive: KeepaliveSettings = KeepaliveSettings()
    tls: TlsSettings | None = None
    #: Whether the server says which services it has.
    reflection: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Where the engine listens. A port of None is off, 0 is any free one; descriptors are listening sockets."""

    http_address: str = "127.0.0.1"
    http_port: int | None = 8000
    reuse_http_port: bool = False
    #: Which headers become parameters of inferences; empty is none.
    http_forward_pattern: str = ""
    http_restrictions: Restrictions = field(default_factory=dict)
    #: None is the HTTP port's address.
    metrics_address: str | None = None
    metrics_port: int | None = 8002
    grpc_address: str = "127.0.0.1"
    grpc_port: int | None = 8001
    reuse_grpc_port: bool = False
    grpc: GrpcSettings = GrpcSettings()
    http_fd: int | None = None
    lane_fd: int | None = None
    runtime_dir: str | None = None
    #: What the TCP ports ask for in `Authorization`; empty asks for nothing, as Triton.
    token: str = ""
