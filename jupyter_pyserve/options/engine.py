"""All options of an engine together, and the two settings that they become.

The Jupyter extension makes its traits of them, so an option stands here once for both.
"""

from __future__ import annotations

import argparse

from jupyter_pyserve.options.cache import add_cache_options, cache_nbytes
from jupyter_pyserve.options.grpc import add_grpc_options, grpc_settings
from jupyter_pyserve.options.http import add_http_options
from jupyter_pyserve.options.log import add_log_options, log_settings
from jupyter_pyserve.options.metrics import add_metrics_options, metrics_settings
from jupyter_pyserve.options.repository import add_repository_options, repository_settings
from jupyter_pyserve.options.scheduling import add_scheduling_options, scheduling_settings
from jupyter_pyserve.options.trace import add_trace_options, trace_settings
from jupyter_pyserve.options.types import number, parse_bool, whole_number
from jupyter_pyserve.settings import EngineSettings, ListenSettings
from jupyter_pyserve.telemetry.gpus import count_gpus


def add_engine_options(
    parser: argparse.ArgumentParser, *, http_port: int | None, grpc_port: int | None, metrics_port: int | None
) -> None:
    """All of them; the ports are those that are listened on when nothing is said."""
    _add_model_options(parser)
    add_http_options(parser, http_port)
    add_metrics_options(parser, metrics_port)
    add_grpc_options(parser, grpc_port)
    add_trace_options(parser)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    defaults = EngineSettings()
    add = parser.add_argument
    add("--id", default=defaults.server_id, help="name in the server metadata")
    add("--exit-timeout-secs", type=number, default=defaults.exit_timeout_s)
    add(
        "--drain-timeout-secs", type=number, default=defaults.drain_timeout_s, help="for replaced and unloaded versions"
    )
    add("--allow-client-shm", type=parse_bool, default=defaults.allow_client_shm, metavar="BOOL")
    add("--disable-auto-complete-config", action="store_true")
    add("--strict-model-config", type=parse_bool, default=None, metavar="BOOL", help="deprecated")
    add("--backend-directory", default=defaults.backend_directory, metavar="DIR", help="of Python-based backends")
    add(
        "--backend-config",
        action="append",
        type=parse_backend_config,
        default=[],
        metavar="BACKEND,KEY=VALUE",
        help="of the backend 'python': stub-timeout-seconds, how long a model may take to start",
    )
    add_repository_options(parser)
    add_log_options(parser)
    add_cache_options(parser)
    add_scheduling_options(parser)
    add(
        "--arena-limit-byte-size",
        type=whole_number,
        default=defaults.arena_limit_nbytes,
        help="of each shared memory arena",
    )


def strictness_warnings(options: argparse.Namespace) -> list[str]:
    """What to say of the old option of what has a new one."""
    strict = options.strict_model_config
    if strict is None:
        return []
    old, new = "'--strict-model-config'", "'--disable-auto-complete-config'"
    said = [f"Warning: {old} has been deprecated! Please use {new} instead."]
    if options.disable_auto_complete_config and not strict:
        said.append(f"Warning: Overriding deprecated {old} from False to True in favor of {new}!")
    return said


def engine_settings(options: argparse.Namespace) -> EngineSettings:
    """What the options say of the engine; raises `BadRepositoryOptions` or `BadCacheOptions`."""
    metrics = metrics_settings(options)
    return EngineSettings(
        server_id=options.id,
        gpu_count=count_gpus(metrics.visible_gpus),
        auto_complete=not (options.disable_auto_complete_config or options.strict_model_config),
        exit_timeout_s=options.exit_timeout_secs,
        drain_timeout_s=options.drain_timeout_secs,
        allow_client_shm=options.allow_client_shm,
        arena_limit_nbytes=options.arena_limit_byte_size,
        http_max_input_nbytes=options.http_max_input_size,
        backend_directory=options.backend_directory,
        backend_config=tuple(options.backend_config),
        cache_nbytes=cache_nbytes(options),
        **repository_settings(options)._asdict(),
        **scheduling_settings(options)._asdict(),
        trace=trace_settings(options),
        log=log_settings(options),
        metrics=metrics,
    )


def listen_settings(options: argparse.Namespace, *, token: str) -> ListenSettings:
    """What the options say of listening."""
    return ListenSettings(
        http_address=options.http_address,
        http_port=options.http_port if options.allow_http else None,
        reuse_http_port=options.reuse_http_port,
        http_forward_pattern=options.http_header_forward_pattern,
        http_restrictions=options.http_restricted_api,
        metrics_address=options.metrics_address,
        metrics_port=options.metrics_port if options.allow_metrics else None,
        grpc_address=options.grpc_address,
        grpc_port=options.grpc_port if options.allow_grpc else None,
        reuse_grpc_port=options.reuse_grpc_port,
        grpc=grpc_settings(options),
        http_fd=getattr(options, "http_fd", None),
        lane_fd=getattr(options, "lane_fd", None),
        runtime_dir=getattr(options, "runtime_dir", None),
        token=token,
    )


def parse_backend_config(text: str) -> tuple[str, str, str]:
    """`backend,key=value`, or `key=value` for all backends: the backend (or nothing), the key and the value."""
    backend, comma, setting = text.rpartition(",") if "," not in text else text.partition(",")
    key, _, value = setting.partition("=")
    if comma and not backend:
        raise argparse.ArgumentTypeError(
            "No backend specified. --backend-config option format is <backend name>,<setting>=<value> or "
            f"<setting>=<value>. Got {text}"
        )
    if not key or not value:
        raise argparse.ArgumentTypeError(
            f"--backend-config option format is '<backend name>,<setting>=<value>'. Got {text}"
        )
    return backend, key, value
