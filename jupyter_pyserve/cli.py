"""The `pyserve` command: `serve` takes Triton's options, `engine` is what the Jupyter extension starts.

Parses words into settings and nothing else. Options for what this server does not have are accepted, and it says so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jupyter_pyserve.cache_options import BadCacheOptions, add_cache_options, cache_nbytes, cache_warning
from jupyter_pyserve.grpc_options import add_grpc_options, grpc_settings
from jupyter_pyserve.option_types import RESTRICTION, Restrict, header_pattern, parse_bool
from jupyter_pyserve.repository_options import BadRepositoryOptions, add_repository_options, repository_settings
from jupyter_pyserve.scheduling_options import add_scheduling_options, scheduling_settings
from jupyter_pyserve.settings import (
    EngineSettings,
    ListenSettings,
    LogFormat,
    LogSettings,
    MetricsSettings,
)
from jupyter_pyserve.trace_options import add_trace_options, trace_settings

#: Triton's options that have no effect here (yet): name -> whether it takes a value.
_WITHOUT_EFFECT = (
    "http-thread-count", "grpc-infer-allocation-pool-size", "grpc-infer-thread-count",
    "grpc-max-response-pool-size", "grpc-http2-max-pings-without-data",
    "repoagent-directory",
    "cuda-memory-pool-byte-size", "buffer-manager-thread-count", "cuda-virtual-address-size",
    "min-supported-compute-capability", "model-load-gpu-limit", "enable-peer-access",
    "allow-sagemaker",
    "allow-vertex-ai",
)  # fmt: skip


def parse_metrics_setting(text: str) -> tuple[str, Any]:
    """One `--metrics-config`: the name of a setting and its value; names that nobody knows are accepted."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"--metrics-config option format is <setting>=<value>. Got {text}")
    if name in ("counter_latencies", "summary_latencies", "histogram_latencies"):
        return name, parse_bool(value)
    if name == "summary_quantiles":
        return name, tuple(_quantile(pair) for pair in value.split(","))
    return "", value


def _quantile(text: str) -> float:
    """Of `quantile:error`; quantiles are as exact here as any error could ask for."""
    with contextlib.suppress(ValueError):
        quantile = float(text.partition(":")[0])
        if 0 <= quantile <= 1:
            return quantile
    raise argparse.ArgumentTypeError(f"summary_quantiles are pairs of <quantile>:<error>. Got {text}")


def parse_log_format(text: str) -> LogFormat:
    """A log format by its name."""
    try:
        return LogFormat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("invalid argument for --log-format") from None


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


class _Parser(argparse.ArgumentParser):
    """Reports a bad option as Triton does: the usage, `Bad option: "--x".`, the reason, exit status 1."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        name, _, reason = message.removeprefix("argument ").partition(": ")
        option = next((item for item in name.split("/") if item.startswith("--")), None)
        text = f'Bad option: "{option}".\n{reason}' if option is not None else message
        print(text, file=sys.stderr)
        sys.exit(1)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(prog="pyserve", description="Triton's Python backend, living inside Jupyter.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    usage = "pyserve serve --model-repository DIR [options]"
    serve = commands.add_parser("serve", help="serve a model repository", usage=usage, allow_abbrev=False)
    _add_model_options(serve)
    _add_http_options(serve, ListenSettings().http_port)
    _add_metrics_options(serve, ListenSettings().metrics_port)
    add_grpc_options(serve, ListenSettings().grpc_port)
    add_trace_options(serve)
    _add_options_without_effect(serve)
    engine = commands.add_parser("engine", help="serve for a Jupyter server that started this process")
    _add_model_options(engine)
    _add_http_options(engine, 0)
    _add_metrics_options(engine, None)
    add_grpc_options(engine, 0)
    add_trace_options(engine)
    engine.add_argument("--runtime-dir", required=True)
    engine.add_argument("--http-fd", type=int, required=True)
    engine.add_argument("--lane-fd", type=int, required=True)
    token = commands.add_parser("token", help="print the token that a running engine's ports ask for")
    token.add_argument("--runtime-dir", default=os.environ.get("PYSERVE_RUNTIME_DIR"))
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    defaults = EngineSettings()
    add = parser.add_argument
    add("--id", default=defaults.server_id, help="name in the server metadata")
    add("--exit-timeout-secs", type=float, default=defaults.exit_timeout_s)
    add("--drain-timeout-secs", type=float, default=defaults.drain_timeout_s, help="for replaced and unloaded versions")
    add("--allow-client-shm", type=parse_bool, default=defaults.allow_client_shm, metavar="BOOL")
    add("--disable-auto-complete-config", action="store_true")
    add("--strict-model-config", type=parse_bool, default=False, metavar="BOOL", help="deprecated")
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
    _add_log_options(parser, defaults.log)
    add_cache_options(parser)
    add_scheduling_options(parser)
    add("--arena-limit-byte-size", type=int, default=defaults.arena_limit_nbytes, help="of each shared memory arena")


def _add_log_options(parser: argparse.ArgumentParser, defaults: LogSettings) -> None:
    add = parser.add_argument
    add("--log-verbose", type=int, default=defaults.verbose_level, metavar="LEVEL", help="0 is off")
    add("--log-info", type=parse_bool, default=defaults.info, metavar="BOOL")
    add("--log-warning", type=parse_bool, default=defaults.warning, metavar="BOOL")
    add("--log-error", type=parse_bool, default=defaults.error, metavar="BOOL")
    add("--log-format", type=parse_log_format, default=defaults.format, metavar="FORMAT", help="default or ISO8601")
    add("--log-file", default=defaults.file, metavar="FILE", help="standard error when there is none")


def _add_http_options(parser: argparse.ArgumentParser, port: int | None) -> None:
    listen, engine = ListenSettings(), EngineSettings()
    add = parser.add_argument
    add("--allow-http", type=parse_bool, default=True, metavar="BOOL")
    add("--http-address", default=listen.http_address)
    add("--http-port", type=int, default=port)
    add("--reuse-http-port", type=parse_bool, default=False, metavar="BOOL")
    add("--http-max-input-size", type=int, default=engine.http_max_input_nbytes)
    add("--http-header-forward-pattern", type=header_pattern, default="", metavar="REGEX")
    add("--http-restricted-api", action=Restrict, default={}, metavar=RESTRICTION)


def _add_metrics_options(parser: argparse.ArgumentParser, port: int | None) -> None:
    metrics = MetricsSettings()
    add = parser.add_argument
    add("--allow-metrics", type=parse_bool, default=True, metavar="BOOL")
    add("--allow-cpu-metrics", type=parse_bool, default=metrics.cpu, metavar="BOOL")
    add("--allow-gpu-metrics", type=parse_bool, default=metrics.gpu, metavar="BOOL")
    add("--metrics-address", default=None, help="default: the HTTP address")
    add("--metrics-port", type=int, default=port)
    add("--metrics-interval-ms", type=float, default=metrics.interval_s * 1000, help="how old such figures may be")
    add("--metrics-config", type=parse_metrics_setting, action="append", default=[], metavar="SETTING=VALUE")
    add("--pinned-memory-pool-byte-size", type=int, default=metrics.pinned_pool_nbytes, help="shown, but there is none")


def _add_options_without_effect(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("accepted for compatibility, without effect")
    for name in _WITHOUT_EFFECT:
        group.add_argument(f"--{name}", action="append", default=argparse.SUPPRESS, metavar="VALUE")


def engine_settings(options: argparse.Namespace) -> EngineSettings:
    """What the options say of the engine."""
    try:
        repositories = repository_settings(options)
    except BadRepositoryOptions as error:
        _fail(str(error))
    return EngineSettings(
        server_id=options.id,
        auto_complete=not (options.disable_auto_complete_config or options.strict_model_config),
        exit_timeout_s=options.exit_timeout_secs,
        drain_timeout_s=options.drain_timeout_secs,
        allow_client_shm=options.allow_client_shm,
        arena_limit_nbytes=options.arena_limit_byte_size,
        http_max_input_nbytes=options.http_max_input_size,
        backend_directory=options.backend_directory,
        backend_config=tuple(options.backend_config),
        cache_nbytes=_cache_nbytes(options),
        **repositories._asdict(),
        **scheduling_settings(options)._asdict(),
        trace=trace_settings(options),
        log=LogSettings(
            info=options.log_info,
            warning=options.log_warning,
            error=options.log_error,
            verbose_level=max(0, options.log_verbose),
            format=options.log_format,
            file=options.log_file,
        ),
        metrics=MetricsSettings(
            interval_s=options.metrics_interval_ms / 1000,
            cpu=options.allow_cpu_metrics,
            gpu=options.allow_gpu_metrics,
            visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
            pinned_pool_nbytes=options.pinned_memory_pool_byte_size,
            **{name: value for name, value in options.metrics_config if name},
        ),
    )


def _cache_nbytes(options: argparse.Namespace) -> int | None:
    if cache_warning(options):
        print(cache_warning(options), file=sys.stderr)
    try:
        return cache_nbytes(options)
    except BadCacheOptions as error:
        _fail(str(error))


def listen_settings(options: argparse.Namespace) -> ListenSettings:
    """What the options say of listening. The token comes by the environment, where other users cannot read it."""
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
        token=os.environ.pop("PYSERVE_TOKEN", "") if options.command == "engine" else "",
    )


def _fail(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(1)


def _print_token(runtime_dir: str | None) -> int:
    if not runtime_dir:
        _fail("no engine is known here: set PYSERVE_RUNTIME_DIR, or give --runtime-dir")
    try:
        print(Path(runtime_dir, "token").read_text(encoding="utf-8"))
    except OSError as error:
        _fail(f"no token: {error}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `pyserve` and of `python -m jupyter_pyserve`."""
    options = build_parser().parse_args(arguments)
    if options.command == "token":
        return _print_token(options.runtime_dir)
    if not sys.platform.startswith("linux"):
        _fail(f"The engine needs Linux (memfd, Unix sequenced-packet sockets, pidfd); this is {sys.platform}.")
    given = [name for name in _WITHOUT_EFFECT if hasattr(options, name.replace("-", "_"))]
    if given:
        print(f"accepted, but without effect so far: {', '.join(f'--{name}' for name in given)}", file=sys.stderr)
    settings, listen = engine_settings(options), listen_settings(options)

    from jupyter_pyserve import app

    return app.run(settings, listen, announce=options.command == "engine")
