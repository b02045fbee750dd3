from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_pyserve.notebook.debugging.relay import HOST, Frames, Message, Relay, encode


class End:
    """One end of a conversation."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(10)
        self._frames = Frames()
        self._messages: list[Message] = []

    def tell(self, **message: Any) -> None:
        self.sock.sendall(encode(message))

    def hear(self) -> Message:
        while not self._messages:
            data = self.sock.recv(1 << 16)
            assert data, "the other end has gone"
            self._messages += [message for message, _ in self._frames.feed(data)]
        return self._messages.pop(0)


class Bench:
    """A process that can be debugged, the relay, and the kernel's debugger."""

    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.relay = Relay(self.listener.getsockname()[1])
        self.ends: list[End] = []

    def debugger(self) -> End:
        return self._end(socket.create_connection((HOST, self.relay.port)))

    def process(self) -> End:
        return self._end(self.listener.accept()[0])

    def _end(self, sock: socket.socket) -> End:
        self.ends.append(End(sock))
        return self.ends[-1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for end in bench.ends:
        end.sock.close()
    bench.relay.close()
    bench.listener.close()


def test_messages_are_passed_on_both_ways_whole_or_in_pieces(bench: Bench) -> None:
    debugger, process = bench.debugger(), bench.process()
    data = encode({"seq": 1, "type": "request", "command": "threads"})
    for byte in data[:-1]:
        debugger.sock.sendall(bytes([byte]))
    debugger.sock.sendall(data[-1:] + encode({"seq": 2, "type": "request", "command": "next"}))
    assert [process.hear()["command"] for _ in range(2)] == ["threads", "next"]
    process.tell(seq=1, type="response", request_seq=1, success=True)
    assert debugger.hear()["request_seq"] == 1
    debugger.sock.close()
    assert process.sock.recv(1) == b"", "it is told when the debugger goes"
    again = bench.debugger()
    again.tell(seq=1, type="request", command="initialize")
    assert bench.process().hear()["command"] == "initialize"


def test_nobody_waits_for_a_process_that_has_ended(bench: Bench) -> None:
    debugger, process = bench.debugger(), bench.process()
    debugger.tell(seq=7, type="request", command="stackTrace")
    process.hear()
    process.sock.close()
    assert debugger.hear()["event"] == "continued"
    refused = debugger.hear()
    assert (refused["request_seq"], refused["success"]) == (7, False)
    assert "the model's process has ended" in refused["message"]
    debugger.tell(seq=8, type="request", command="disconnect")
    assert debugger.hear()["success"]


def test_a_debugger_that_comes_too_late_is_refused(bench: Bench) -> None:
    bench.listener.close()
    debugger = bench.debugger()
    debugger.tell(seq=1, type="request", command="attach")
    assert debugger.hear()["event"] == "initialized", "which it waits for"
    assert not debugger.hear()["success"]


def test_what_was_answered_is_not_refused_later(bench: Bench) -> None:
    debugger, process = bench.debugger(), bench.process()
    for seq in (7, 8):
        debugger.tell(seq=seq, type="request", command="stackTrace")
        process.hear()
    process.tell(seq=1, type="response", request_seq=7, success=True)
    process.sock.close()
    assert debugger.hear()["request_seq"] == 7
    assert debugger.hear()["event"] == "continued"
    refused = debugger.hear()
    assert (refused["request_seq"], refused["success"]) == (8, False)
