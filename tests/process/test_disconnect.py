"""A client goes away: what it had queued is dropped, what is running is told, and its memory comes back."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import TIMEOUT_S, command, connect, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.waiting import wait_until

LARGE = 8 << 20


def outstanding(engine: Engine, model: str) -> int:
    return int(engine.model(model)["versions"][0]["outstanding"])


def reset(sock: socket.socket) -> None:
    """Close without a goodbye."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("listener", ["http", "tcp"])
@pytest.mark.parametrize("pipelined", [0, 20_000], ids=["alone", "pipelined"])
def test_the_running_request_is_cancelled(
    engine: Engine, puppet: str, tmp_path: Path, listener: str, pipelined: int
) -> None:
    client = getattr(engine, listener)
    gate, seen = engine.gate(), tmp_path / "seen"
    sock = connect(client.address)
    sock.sendall(client.infer_bytes(puppet, command("watch_for_cancel", gate=str(gate), seen=str(seen))))
    gate.wait_until_entered()
    sock.setblocking(False)
    next_ones = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * (pipelined // 50)
    sent = sock.send(next_ones) if next_ones else 0
    assert (sent > 0) is (pipelined > 0)
    gate.open()
    reset(sock)
    wait_until(seen.exists, "the model sees it")
    assert said(engine.infer(puppet, command("echo", value=1))) == 1


def test_queued_requests_are_dropped(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    # A request that would be noticed if it ran: it would end the process.
    socks = [connect(engine.http.address) for _ in range(5)]
    for sock in socks:
        sock.sendall(engine.http.infer_bytes(puppet, command("exit")))
    wait_until(lambda: outstanding(engine, puppet) == 6, "all have arrived")
    for sock in socks:
        sock.close()
    wait_until(lambda: outstanding(engine, puppet) == 1, "they are dropped")
    gate.open()
    pid = said(held.result())
    assert engine.pids(puppet) == [pid]


def test_a_lane_that_closes_cancels_what_it_asked_for(engine: Engine, puppet: str, tmp_path: Path) -> None:
    gate, seen = engine.gate(), tmp_path / "seen"
    lane = engine.lane()
    held = engine.later(lane.infer, puppet, command("watch_for_cancel", gate=str(gate), seen=str(seen)))
    gate.wait_until_entered()
    queued = engine.later(lane.infer, puppet, command("exit"))
    wait_until(lambda: outstanding(engine, puppet) == 2, "both have arrived")
    gate.open()
    lane.close()
    wait_until(seen.exists, "the model sees it")
    assert isinstance(held.exception(TIMEOUT_S), OSError)
    assert isinstance(queued.exception(TIMEOUT_S), OSError)
    assert engine.instances(puppet)[0]["restarts"] == 0


def test_a_lane_closes_and_the_stub_that_held_its_requests_dies(engine: Engine, puppet: str) -> None:
    for number in range(20):  # a fast model gets several requests at once
        assert said(engine.infer(puppet, command("echo", value=number))) == number
    gate = engine.gate()
    lane = engine.lane()
    held = engine.later(lane.infer, puppet, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    others = [engine.later(lane.infer, puppet, command("echo", [1.0, 2.0])) for _ in range(6)]
    wait_until(lambda: outstanding(engine, puppet) == 7, "all have arrived")
    lane.close()
    assert all(isinstance(item.exception(TIMEOUT_S), OSError) for item in [held, *others])
    machine.kill(engine.pids(puppet)[0])
    wait_until(lambda: engine.instances(puppet)[0]["restarts"] == 1 and engine.ready(puppet), "it is replaced")
    assert said(engine.infer(puppet, command("echo", value=1))) == 1


def test_an_answer_that_nobody_reads_is_given_back(engine: Engine, puppet: str) -> None:
    sock = connect(engine.http.address)
    sock.sendall(engine.http.infer_bytes(puppet, command("give", count=LARGE)))
    assert sock.recv(16)  # it is being sent, and cannot all be in the socket
    assert outstanding(engine, puppet) == 1
    sock.close()
    wait_until(lambda: outstanding(engine, puppet) == 0, "it is given back")
    wait_until(lambda: engine.instances(puppet)[0]["arena_used_bytes"] == 0, "the stub knows")


def test_half_a_body_is_given_back(engine: Engine, puppet: str) -> None:
    data = engine.http.infer_bytes(puppet, command("echo", np.ones(LARGE, np.float32)))
    sock = connect(engine.http.address)
    sock.sendall(data[: len(data) // 2])
    wait_until(lambda: outstanding(engine, puppet) == 1, "memory is taken for it")
    sock.close()
    wait_until(lambda: outstanding(engine, puppet) == 0, "it is given back")


def test_a_deploy_goes_on_without_its_listener(engine: Engine) -> None:
    gate = engine.gate()
    source = f"open({str(gate)!r}, 'rb').read()\n" + nothing()
    sock = connect(engine.http.address)
    body = json.dumps({"source": source}).encode()
    sock.sendall(b"POST /api/models/orphan/deploy HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    gate.wait_until_entered()
    sock.close()
    gate.open()
    wait_until(lambda: any(item["name"] == "orphan" and item["versions"] for item in engine.models()), "it is done")
    assert engine.http.post("/api/models/orphan/undeploy", {"delete": True}).status == 200


def nothing() -> str:
    return "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"


def test_two_lanes_do_not_disturb_each_other(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    one, two = engine.lane(), engine.lane()
    x = two.empty((1000,), np.float32)
    x[:] = 5
    one.infer(model, command("plus_one", [1.0]))
    one.close()
    for _ in range(3):
        assert two.infer(model, {**command("plus_one"), "DATA": x})["RESULT"].tolist() == [6.0] * 1000
    two.close()
