"""What a user can configure, as traits, and how that becomes the command that starts the engine.

The only reader of Jupyter's configuration in this package; everything below gets frozen values.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from traitlets import Float, Int, List, Unicode, default
from traitlets.config import LoggingConfigurable

from jupyter_pyserve.transports.jupyter.engine_traits import EngineTraits, words
from jupyter_pyserve.transports.jupyter.process import EngineCommand
from jupyter_pyserve.transports.jupyter.states import RestartPolicy
from jupyter_pyserve.transports.jupyter.supervisor import EngineSpec

NO_PORT: Final = -1
# What the engine needs beyond its own time limit, to end what is still busy then.
EXIT_GRACE_S: Final = 5.0


class PyServe(LoggingConfigurable, EngineTraits):  # type: ignore[misc]  # made of the options
    """The model server of this Jupyter server; each option of the engine is a trait too."""

    model_repository = Unicode(
        help="Folder of the models, laid out as Triton's. Default: `model_repository` in the server's root folder."
    ).tag(config=True)
    http_port = Int(
        0, min=NO_PORT, max=65535, help="Loopback port that clients use directly; 0 picks a free one, -1 opens none."
    ).tag(config=True)
    metrics_port = Int(
        NO_PORT,
        min=NO_PORT,
        max=65535,
        help="Loopback port for scrapes beside `/pyserve/metrics`; 0 picks a free one, -1 opens none.",
    ).tag(config=True)
    grpc_port = Int(0, min=NO_PORT, max=65535, help="The same for gRPC: 0 picks a free one, -1 opens none.").tag(
        config=True
    )
    start_timeout_s = Float(60.0, help="How long a request waits for the engine to start.").tag(config=True)
    exit_timeout_s = Float(30.0, help="How long the engine may take to finish what it is doing.").tag(config=True)
    max_early_deaths = Int(
        5, min=0, help="How many times in a row an engine that dies soon after its start is started again."
    ).tag(config=True)
    log_lines_per_s = Float(50.0, help="How much of the engine's log is shown in the server's.").tag(config=True)
    engine_args = List(Unicode(), help="More options for the engine; see `pyserve engine --help`.").tag(config=True)
    engine_command = List(Unicode(), help="The command that starts the engine.").tag(config=True)

    root_dir = Unicode(help="The server's root folder.")

    @default("model_repository")
    def _default_model_repository(self) -> str:
        return str(Path(self.root_dir).expanduser() / "model_repository")

    @default("engine_command")
    def _default_engine_command(self) -> list[str]:
        return [sys.executable, "-m", "jupyter_pyserve", "engine"]

    def spec(self, *, runtime_dir: Path, http_fd: int, lane_fd: int, token: str) -> EngineSpec:
        """The engine to run, on sockets that exist already."""
        repository = Path(self.model_repository).expanduser().absolute()
        options = {
            "--runtime-dir": str(runtime_dir),
            "--model-repository": str(repository),
            "--model-control-mode": "explicit",
            "--http-fd": str(http_fd),
            "--lane-fd": str(lane_fd),
            # After a crash it loads again what was loaded; what does not load then must not keep it from serving.
            "--exit-on-error": "false",
            "--exit-timeout-secs": f"{self.exit_timeout_s:g}",
        }
        if self.http_port == NO_PORT:
            options["--allow-http"] = "false"
        else:
            options |= {"--http-port": str(self.http_port), "--http-address": "127.0.0.1"}
        if self.metrics_port != NO_PORT:
            options |= {"--metrics-port": str(self.metrics_port), "--metrics-address": "127.0.0.1"}
        if self.grpc_port == NO_PORT:
            options["--allow-grpc"] = "false"
        else:
            options |= {"--grpc-port": str(self.grpc_port), "--grpc-address": "127.0.0.1"}
        command = EngineCommand(
            argv=(*self.engine_command, *_flat(options), *words(self), *self.engine_args),
            environment={**os.environ, "PYSERVE_TOKEN": token},
            inherited_fds=(http_fd, lane_fd),
            log_lines_per_s=self.log_lines_per_s,
            prepare=lambda: repository.mkdir(parents=True, exist_ok=True),
        )
        return EngineSpec(
            command=command,
            start_timeout_s=self.start_timeout_s,
            exit_timeout_s=self.exit_timeout_s + EXIT_GRACE_S,
            policy=RestartPolicy(max_early_deaths=self.max_early_deaths),
        )


def _flat(options: Mapping[str, str]) -> list[str]:
    return [text for option in options.items() for text in option]
