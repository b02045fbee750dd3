"""From traits to the command that starts the engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from traitlets import TraitError
from traitlets.config import Config

from jupyter_pyserve.transports.jupyter.config import PyServe


def argv(config: PyServe) -> list[str]:
    return list(config.spec(runtime_dir=Path("/run/x"), http_fd=7, lane_fd=8, token="t").command.argv)


def test_the_command_line(tmp_path: Path) -> None:
    assert argv(PyServe(root_dir=str(tmp_path), engine_args=["--log-verbose", "1"])) == [
        sys.executable,
        "-m",
        "jupyter_pyserve",
        "engine",
        "--runtime-dir",
        "/run/x",
        "--model-repository",
        f"{tmp_path}/model_repository",
        "--model-control-mode",
        "explicit",
        "--http-fd",
        "7",
        "--lane-fd",
        "8",
        "--exit-on-error",
        "false",
        "--exit-timeout-secs",
        "30",
        "--http-port",
        "0",
        "--http-address",
        "127.0.0.1",
        "--grpc-port",
        "0",
        "--grpc-address",
        "127.0.0.1",
        "--log-verbose",
        "1",
    ]


def test_no_port_can_be_asked_for(tmp_path: Path) -> None:
    command = argv(PyServe(root_dir=str(tmp_path), http_port=-1, grpc_port=-1))
    assert "--http-port" not in command
    assert "--grpc-port" not in command
    assert command[-4:] == ["--allow-http", "false", "--allow-grpc", "false"]


def test_a_port_for_scrapes_can_be_asked_for(tmp_path: Path) -> None:
    assert "--metrics-port" not in argv(PyServe(root_dir=str(tmp_path)))
    command = argv(PyServe(root_dir=str(tmp_path), metrics_port=0))
    at = command.index("--metrics-port")
    assert command[at : at + 4] == ["--metrics-port", "0", "--metrics-address", "127.0.0.1"]


def test_configuration_reaches_the_spec(tmp_path: Path) -> None:
    config = Config({"PyServe": {"exit_timeout_s": 3.0, "max_early_deaths": 1, "model_repository": str(tmp_path)}})
    spec = PyServe(config=config).spec(runtime_dir=Path("/run/x"), http_fd=7, lane_fd=8, token="t")
    assert spec.policy.max_early_deaths == 1
    assert str(tmp_path) in spec.command.argv
    # The engine counts for itself, and is killed only when it does not keep its own time.
    assert spec.command.argv[spec.command.argv.index("--exit-timeout-secs") + 1] == "3"
    assert spec.exit_timeout_s > 3.0


def test_a_wrong_port_is_refused() -> None:
    with pytest.raises(TraitError):
        PyServe(http_port=65536)


def test_the_repository_is_made_when_the_engine_starts(tmp_path: Path) -> None:
    spec = PyServe(root_dir=str(tmp_path)).spec(runtime_dir=Path("/run/x"), http_fd=7, lane_fd=8, token="t")
    assert not (tmp_path / "model_repository").exists()
    spec.command.prepare()
    assert (tmp_path / "model_repository").is_dir()


def test_token_and_sockets_are_handed_over(tmp_path: Path) -> None:
    spec = PyServe(root_dir=str(tmp_path)).spec(runtime_dir=Path("/run/x"), http_fd=7, lane_fd=8, token="t")
    assert spec.command.environment["PYSERVE_TOKEN"] == "t"
    assert tuple(spec.command.inherited_fds) == (7, 8)
