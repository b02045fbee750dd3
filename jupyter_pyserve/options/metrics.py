"""The command line's options of metrics, by Triton's names."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import Any

from jupyter_pyserve.options.types import number, parse_bool, whole_number
from jupyter_pyserve.settings import MetricsSettings


def add_metrics_options(parser: argparse.ArgumentParser, port: int | None) -> None:
    """All of them; `port` is what is listened on when nothing is said."""
    metrics = MetricsSettings()
    add = parser.add_argument
    add("--allow-metrics", type=parse_bool, default=True, metavar="BOOL")
    add("--allow-cpu-metrics", type=parse_bool, default=metrics.cpu, metavar="BOOL")
    add("--allow-gpu-metrics", type=parse_bool, default=metrics.gpu, metavar="BOOL")
    add("--metrics-address", default=None, help="default: the HTTP address")
    add("--metrics-port", type=whole_number, default=port)
    add("--metrics-interval-ms", type=number, default=metrics.interval_s * 1000, help="how old such figures may be")
    add("--metrics-config", type=parse_metrics_setting, action="append", default=[], metavar="SETTING=VALUE")
    add(
        "--pinned-memory-pool-byte-size",
        type=whole_number,
        default=metrics.pinned_pool_nbytes,
        help="shown, but there is none",
    )


def metrics_settings(options: argparse.Namespace) -> MetricsSettings:
    """What the options, and the environment's word on GPUs, say."""
    return MetricsSettings(
        interval_s=options.metrics_interval_ms / 1000,
        cpu=options.allow_cpu_metrics,
        gpu=options.allow_gpu_metrics,
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        pinned_pool_nbytes=options.pinned_memory_pool_byte_size,
        **{name: value for name, value in options.metrics_config if name},
    )


def parse_metrics_setting(text: str) -> tuple[str, Any]:
    """One `--metrics-config`: the name of a setting and its value; names that nobody knows are accepted."""
    name, _, value = text.partition("=")
    if not name or not value:
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
