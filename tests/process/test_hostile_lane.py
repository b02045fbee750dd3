"""A lane client that breaks the protocol: its connection is closed, and that is all that happens."""

from __future__ import annotations

import array
import contextlib
import json
import os
import resource
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import Descriptor, RequestFrame
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from tests.process import machine
from tests.process.client import command, said
from tests.process.conftest import loaded
from tests.process.engine import Engine, running_engine
from tests.process.waiting import wait_until

BYTES, FP32 = 13, 11


class RawLane:
    """A connection on which anything may be sent."""

    def __init__(self, engine: Engine) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(str(engine.folder / "lane.sock"))  # waits for room in the backlog
        self.sock.settimeout(20)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendmsg([data], rights)

    def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        self.send(frames.encode_cold(frames.CALL, {"id": 1, "op": op, **arguments}))
        reply, fds, _, _ = socket.recv_fds(self.sock, 1 << 17, 4)
        for fd in fds:
            os.close(fd)
        return frames.decode_cold(reply)

    def infer(self, model: str, descriptors: Sequence[Descriptor], key: int = 1, layout: bytes | None = None) -> None:
        tensors = [TensorMeta("COMMAND", BYTES, (1,)), TensorMeta("DATA", FP32, (4,))][: len(descriptors)]
        meta = json.dumps({"model": model}).encode()
        request = RequestFrame(key, meta, encode_layout(tensors) if layout is None else layout, descriptors)
        self.send(frames.encode_execute([request], (), frames.INFER))

    def is_closed(self) -> bool:
        """Whether the engine closes it, whatever it says before."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(1 << 17):
                pass
        return True

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def raw(engine: Engine) -> Iterator[RawLane]:
    lane = RawLane(engine)
    yield lane
    lane.close()


def still_works(engine: Engine, model: str) -> None:
    lane = engine.lane()
    assert lane.infer(model, command("plus_one", [1.0]))["RESULT"].tolist() == [2.0]
    lane.close()
    assert said(engine.infer(model, command("echo", value=1))) == 1
    assert engine.instances(model)[0]["restarts"] == 0


GARBAGE = {
    "zeros": bytes(64),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "unknown kind": bytes((77,)),
    "a head cut short": bytes((frames.INFER, 0, 1)),
    "a count that lies": b"\x05\x00\xff\xff\x00\x00\x00\x00",
    "released, a count that lies": b"\x05\x00\x00\x00\xff\xff\xff\xff",
    "keys, a count that lies": b"\x03\x00\x00\x00\xff\xff\xff\xff",
    "not JSON": bytes((frames.CALL,)) + b"{",
    "deep JSON": bytes((frames.CALL,)) + b'{"a":' + b"[" * 30_000,
    "an unknown call": frames.encode_cold(frames.CALL, {"id": 1, "op": "format"}),
    "no id": frames.encode_cold(frames.CALL, {"op": "hello"}),
    "an id of words": frames.encode_cold(frames.CALL, {"id": "x", "op": "hello"}),
    "grow by words": frames.encode_cold(frames.CALL, {"id": 1, "op": "grow", "nbytes": "much"}),
    "a frame for stubs": frames.encode_execute([RequestFrame(1, b"{}", b"", ())]),
    "an answer": frames.encode_responses([frames.ResponseFrame(1, 0, 1, b"", b"", ())]),
    "meta of garbage": frames.encode_execute([RequestFrame(1, b"\xff{", encode_layout(()), ())], (), frames.INFER),
    "meta that is a list": frames.encode_execute([RequestFrame(1, b"[]", encode_layout(()), ())], (), frames.INFER),
    "meta without a model": frames.encode_execute([RequestFrame(1, b"{}", encode_layout(()), ())], (), frames.INFER),
    "meta too deep": frames.encode_execute([RequestFrame(1, b"[" * 30_000, encode_layout(()), ())], (), frames.INFER),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_closes_the_connection(engine: Engine, puppet: str, raw: RawLane, what: str) -> None:
    raw.send(GARBAGE[what])
    assert raw.is_closed()
    still_works(engine, puppet)


def test_another_version_is_told_so(engine: Engine, raw: RawLane) -> None:
    reply = raw.call("hello", magic=frames.MAGIC, version=99)
    assert not reply["ok"]
    assert f"version {frames.VERSION}" in reply["error"]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda own, other: Descriptor(other, 0, 64, 0), id="memory of another lane"),
        pytest.param(lambda own, other: Descriptor(2**32 - 1, 0, 64, 0), id="no segment at all"),
        pytest.param(lambda own, other: Descriptor(own, (1 << 20) - 32, 64, 0), id="behind the end"),
        pytest.param(lambda own, other: Descriptor(own, 2**64 - 32, 64, 0), id="past the end of numbers"),
        pytest.param(lambda own, other: Descriptor(own, 0, 2**64 - 1, 0), id="more than there is"),
    ],
)
def test_memory_that_is_not_its_own(engine: Engine, puppet: str, raw: RawLane, place: Any) -> None:
    neighbour = RawLane(engine)
    other = neighbour.call("grow", nbytes=1000)["segments"][0]["id"]
    own = raw.call("grow", nbytes=1000)["segments"][0]["id"]
    raw.infer(puppet, [place(own, other)])
    assert raw.is_closed()
    neighbour.close()
    still_works(engine, puppet)


def test_segments_of_requests_and_answers_cannot_be_named(engine: Engine, puppet: str) -> None:
    engine.infer(puppet, command("plus_one", [1.0]))
    for segment in range(1, 60):
        lane = RawLane(engine)
        lane.infer(puppet, [Descriptor(segment, 0, 64, 0)])
        assert lane.is_closed()
        lane.close()
    still_works(engine, puppet)


def test_a_key_that_is_in_use(engine: Engine, puppet: str, raw: RawLane) -> None:
    gate = engine.gate()
    own = raw.call("grow", nbytes=1000)["segments"][0]["id"]
    held = engine.infer_later(puppet, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    for _ in range(2):
        raw.infer(puppet, [Descriptor(own, 0, 64, 0)])
    gate.open()
    assert said(held.result()) == engine.pids(puppet)[0]
    raw.close()
    still_works(engine, puppet)


@pytest.mark.parametrize("correlation_id", [[1], {}, 1.5, None])
def test_a_correlation_id_of_no_kind(engine: Engine, raw: RawLane, correlation_id: Any) -> None:
    model = loaded(engine, "sequence", extra="sequence_batching { }")
    meta = json.dumps({"model": model, "correlation_id": correlation_id, "flags": 1}).encode()
    layout = encode_layout([TensorMeta("COMMAND", BYTES, (1, 0))])
    raw.send(frames.encode_execute([RequestFrame(1, meta, layout, [Descriptor(0, 0, 0, 0)])], (), frames.INFER))
    assert raw.is_closed()
    assert engine.model(model)["versions"][0]["outstanding"] == 0


def test_more_or_fewer_tensors_than_descriptors(engine: Engine, puppet: str, raw: RawLane) -> None:
    own = raw.call("grow", nbytes=1000)["segments"][0]["id"]
    raw.infer(puppet, [Descriptor(own, 0, 16, 0)] * 5, layout=encode_layout([TensorMeta("COMMAND", BYTES, (1,))]))
    assert raw.is_closed()
    still_works(engine, puppet)


def test_strings_whose_lengths_lie(engine: Engine, puppet: str, raw: RawLane) -> None:
    raw.send(frames.encode_cold(frames.CALL, {"id": 1, "op": "grow", "nbytes": 1000}))
    reply, fds, _, _ = socket.recv_fds(raw.sock, 1 << 17, 4)
    own = frames.decode_cold(reply)["segments"][0]["id"]
    os.pwrite(fds[0], struct.pack("<I", 2**32 - 1), 0)
    os.close(fds[0])
    raw.infer(puppet, [Descriptor(own, 0, 64, 0)])
    data = raw.sock.recv(1 << 17)
    assert frames.decode_responses(data)[0][0][1] != 0
    still_works(engine, puppet)


def test_memory_cannot_be_taken_away_under_readers(engine: Engine, puppet: str, raw: RawLane) -> None:
    raw.send(frames.encode_cold(frames.CALL, {"id": 1, "op": "grow", "nbytes": 1000}))
    _, fds, _, _ = socket.recv_fds(raw.sock, 1 << 17, 4)
    for nbytes in (0, 1 << 40):
        with pytest.raises(PermissionError):
            os.ftruncate(fds[0], nbytes)
    os.close(fds[0])
    still_works(engine, puppet)


def test_a_lane_that_never_reads(engine: Engine, puppet: str, raw: RawLane) -> None:
    raw.sock.settimeout(5)
    before = machine.resident_nbytes(engine.pid)
    call = frames.encode_cold(frames.CALL, {"id": 1, "op": "hello", "padding": "x" * 1000})
    with contextlib.suppress(OSError):  # the engine stops reading, or closes
        for _ in range(30_000):
            raw.sock.send(call)
    assert machine.resident_nbytes(engine.pid) - before < 64 << 20
    raw.close()
    still_works(engine, puppet)


class TestDescriptorsThatNobodyAskedFor:
    @pytest.mark.parametrize("data", [b"", bytes((77,)), bytes((frames.SPILLED,))], ids=["empty", "garbage", "spilled"])
    @pytest.mark.parametrize("count", [1, 2, 4, 100])
    def test_they_are_closed(self, engine: Engine, puppet: str, data: bytes, count: int) -> None:
        for _ in range(10):
            lane = RawLane(engine)
            ends = [end for _ in range((count + 1) // 2) for end in os.pipe()][:count]
            lane.send(data, ends)
            for end in ends:
                os.close(end)
            assert lane.is_closed()
            lane.close()
        still_works(engine, puppet)

    def test_in_frames_that_are_fine(self, engine: Engine, puppet: str, raw: RawLane) -> None:
        for _ in range(200):
            reader, writer = os.pipe()
            raw.send(frames.encode_keys(frames.RETURN, ()), (reader, writer))
            os.close(reader)
            os.close(writer)
        assert raw.call("hello", magic=frames.MAGIC, version=frames.VERSION)["ok"]
        still_works(engine, puppet)

    def test_a_spilled_frame_in_what_would_never_answer(self, engine: Engine, puppet: str, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        pipe = os.open(tmp_path / "pipe", os.O_RDWR)
        folder, device = os.open(tmp_path, os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)
        left, right = socket.socketpair()
        event = os.eventfd(0)  # reading it would wait for ever
        for fd in (pipe, folder, device, event, left.fileno()):
            lane = RawLane(engine)
            lane.send(bytes((frames.SPILLED,)), (fd,))
            assert lane.is_closed()
            lane.close()
        for fd in (pipe, folder, device, event):
            os.close(fd)
        left.close()
        right.close()
        still_works(engine, puppet)

    def test_a_huge_frame(self, engine: Engine, puppet: str, raw: RawLane) -> None:
        file = os.memfd_create("huge")
        os.truncate(file, 1 << 40)
        raw.send(bytes((frames.SPILLED,)), (file,))
        os.close(file)
        assert raw.is_closed()
        still_works(engine, puppet)


def test_thousands_of_connections(engine: Engine, puppet: str) -> None:
    for _ in range(3):
        lanes = [RawLane(engine) for _ in range(700)]
        for lane in lanes:
            lane.close()
    still_works(engine, puppet)


def test_more_connections_than_descriptors() -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    with running_engine(limits=few) as engine:
        model = loaded(engine, "puppet")
        lanes = [RawLane(engine) for _ in range(200)]
        wait_until(lambda: len(machine.descriptors(engine.pid)) >= 126, "there are no descriptors left")
        before = machine.wakeups(engine.pid)
        for lane in lanes:
            lane.close()
        assert machine.wakeups(engine.pid) - before < 2000
        wait_until(lambda: len(machine.descriptors(engine.pid)) < 60, "they are free again")
        still_works(engine, model)
        assert engine.stop() == 0


def test_the_sockets_are_private(engine: Engine) -> None:
    assert engine.folder.stat().st_mode & 0o777 == 0o700
    listening = {line for line in Path(f"/proc/{engine.pid}/net/tcp").read_text().splitlines() if " 0A " in line}
    inodes = {item[8:-1] for item in machine.descriptors(engine.pid) if item.startswith("socket:[")}
    ours = [line.split()[1] for line in listening if line.split()[9] in inodes]
    assert {address.partition(":")[0] for address in ours} == {"0100007F"}  # 127.0.0.1, and nothing else
