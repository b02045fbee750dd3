"""`serve` starts, refuses to start, and stops, as Triton does: with its texts, its exit statuses, and nothing left."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.process import machine
from tests.process.client import command, said
from tests.process.conftest import loaded
from tests.process.engine import Engine, Server
from tests.process.gates import Gate
from tests.process.repository import add_model, set_mode
from tests.process.waiting import wait_until

Serve = Callable[..., Server]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(
    serve: Serve, repository: Path, tmp_path: Path, number: signal.Signals
) -> None:
    add_model(repository, "puppet")
    server = serve(repository)
    client = server.wait_until_ready()
    gate = Gate(tmp_path / "gate")
    with ThreadPoolExecutor() as threads:
        held = threads.submit(client.infer, "puppet", command("hold", gate=str(gate)))
        gate.wait_until_entered()
        queued = threads.submit(client.infer, "puppet", command("echo", value="queued"))
        statistics = "/v2/models/puppet/stats"
        wait_until(lambda: machine.descendants(server.pid), "it runs")
        assert client.get(statistics).status == 200
        seen = machine.descendants(server.pid)
        server.process.send_signal(number)
        wait_until(lambda: "Waiting for in-flight requests" in server.log.read_text(), "it drains")
        with pytest.raises(ConnectionRefusedError):
            client.get("/v2/health/live")
        assert server.process.poll() is None
        gate.open()
        assert said(held.result()) in seen
        assert queued.result().status in (200, 503)
    assert server.wait() == 0
    assert all(machine.is_gone(pid) for pid in seen)
    assert f"Signal ({int(number)}) received." in server.log.read_text()


def test_a_request_on_a_lane_is_answered_too(fresh_engine: Engine) -> None:
    engine = fresh_engine
    model = loaded(engine, "puppet")
    gate = engine.gate()
    lane = engine.lane()
    held = engine.later(lane.infer, model, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    engine.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Waiting for in-flight requests" in engine.log.read_text(), "it drains")
    gate.open()
    assert set(held.result()) == {"ANSWER", "RESULT"}
    assert engine.process.wait(30) == 0
    lane.close()


def test_the_exit_timeout_ends_what_does_not_end(serve: Serve, repository: Path, tmp_path: Path) -> None:
    add_model(repository, "puppet", instances=2)
    server = serve(repository, "--exit-timeout-secs", "1")
    client = server.wait_until_ready()
    gate = Gate(tmp_path / "gate")
    with ThreadPoolExecutor() as threads:
        held = threads.submit(client.infer, "puppet", command("sleep", gate=str(gate)))
        gate.open()
        seen = machine.descendants(server.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 1
        assert held.exception() is not None or held.result().status >= 500
    assert "Exit timeout expired. Exiting immediately." in server.log.read_text()
    wait_until(lambda: all(machine.is_gone(pid) for pid in seen), "nothing is left")


def test_a_model_that_keeps_inputs_does_not_delay_the_end(fresh_engine: Engine) -> None:
    engine = fresh_engine
    model = loaded(engine, "puppet")
    assert said(engine.infer(model, command("keep", [1.0, 2.0]))) == 3
    engine.process.send_signal(signal.SIGTERM)
    assert engine.process.wait(20) == 0  # the exit timeout is 30 seconds
    assert f"finalized {model}_0_0" in engine.log.read_text()


def test_idle_connections_do_not_delay_the_end(serve: Serve, repository: Path) -> None:
    server = serve(repository)
    client = server.wait_until_ready()
    with socket.create_connection(client.address) as idle, socket.create_connection(client.address) as used:  # type: ignore[arg-type]
        used.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert used.recv(100).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert idle.recv(100) == b""


def test_a_busy_port(serve: Serve, repository: Path) -> None:
    add_model(repository, "puppet")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = serve(repository, "--http-port", str(port))
        assert server.wait() == 1
    text = f"failed to start HTTP service: Unavailable - Socket '127.0.0.1:{port}' already in use"
    assert text in server.log.read_text()


def test_an_error_while_loading_ends_it(serve: Serve, repository: Path) -> None:
    set_mode(add_model(repository, "fickle"), "initialize raise")
    add_model(repository, "puppet")
    server = serve(repository)
    assert server.wait() == 1
    text = server.log.read_text()
    assert "RuntimeError: refused to initialize" in text
    assert "error: creating server: Internal - failed to load all models" in text


def test_an_error_while_loading_does_not_end_it_when_told_so(serve: Serve, repository: Path) -> None:
    set_mode(add_model(repository, "fickle"), "initialize raise")
    add_model(repository, "puppet")
    server = serve(repository, "--exit-on-error", "false")
    client = server.wait_until_ready()
    assert said(client.infer("puppet", command("echo", value=2))) == 2
    assert client.get("/v2/health/ready").status == 400
    rows = {row["name"]: row for row in client.post("/v2/repository/index").json()}
    assert rows["puppet"]["state"] == "READY"
    assert rows["fickle"]["state"] == "UNAVAILABLE"
    assert "refused to initialize" in rows["fickle"]["reason"]
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0


@pytest.mark.parametrize("on_error", ["true", "false"])
def test_an_unknown_repository(serve: Serve, tmp_path: Path, on_error: str) -> None:
    server = serve(tmp_path / "nowhere", "--exit-on-error", on_error)
    assert server.wait() == 1
    assert f"failed to stat file {tmp_path / 'nowhere'}" in server.log.read_text()
