"""The `pyserve` command: `serve` takes Triton's options, `engine` is what the Jupyter extension starts.

Parses words into settings and nothing else. Options for what this server does not have are accepted, and it says so.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jupyter_pyserve import terminal
from jupyter_pyserve.options.cache import BadCacheOptions, cache_warning
from jupyter_pyserve.options.engine import add_engine_options, engine_settings, listen_settings, strictness_warnings
from jupyter_pyserve.options.repository import BadRepositoryOptions
from jupyter_pyserve.settings import ListenSettings

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
    ports = ListenSettings()
    add_engine_options(serve, http_port=ports.http_port, grpc_port=ports.grpc_port, metrics_port=ports.metrics_port)
    _add_options_without_effect(serve)
    # For whoever starts it as a child: says its addresses when it is ready, and ends with standard input.
    serve.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)
    engine = commands.add_parser("engine", help="serve for a Jupyter server that started this process")
    add_engine_options(engine, http_port=0, grpc_port=0, metrics_port=None)
    engine.add_argument("--runtime-dir", required=True)
    engine.add_argument("--http-fd", type=int, required=True)
    engine.add_argument("--lane-fd", type=int, required=True)
    token = commands.add_parser("token", help="print the token that a running engine's ports ask for")
    token.add_argument("--runtime-dir", default=os.environ.get("PYSERVE_RUNTIME_DIR"))
    terminal.add_commands(commands)
    return parser


def _add_options_without_effect(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("accepted for compatibility, without effect")
    for name in _WITHOUT_EFFECT:
        group.add_argument(f"--{name}", action="append", default=argparse.SUPPRESS, metavar="VALUE")


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
    if options.command in ("status", "logs"):
        return terminal.run(options)
    if not sys.platform.startswith("linux"):
        _fail(f"The engine needs Linux (memfd, Unix sequenced-packet sockets, pidfd); this is {sys.platform}.")
    given = [name for name in _WITHOUT_EFFECT if hasattr(options, name.replace("-", "_"))]
    if given:
        print(f"accepted, but without effect so far: {', '.join(f'--{name}' for name in given)}", file=sys.stderr)
    for warning in (*strictness_warnings(options), cache_warning(options)):
        if warning:
            print(warning, file=sys.stderr)
    try:
        settings = engine_settings(options)
    except (BadRepositoryOptions, BadCacheOptions) as error:
        _fail(str(error))
    # By the environment, where other users cannot read it.
    token = os.environ.pop("PYSERVE_TOKEN", "") if options.command == "engine" else ""
    listen = listen_settings(options, token=token)

    from jupyter_pyserve import app

    return app.run(settings, listen, announce=options.command == "engine" or options.announce)
