"""Messages and statuses of one call, within its windows."""

from __future__ import annotations

import asyncio
import random
import threading
import zlib

import pytest

from jupyter_pyserve.transports.grpc import call as call_module
from jupyter_pyserve.transports.grpc import frames
from jupyter_pyserve.transports.grpc.call import Status
from jupyter_pyserve.transports.grpc.compression import Compressor, decompress
from jupyter_pyserve.transports.grpc.frames import Setting
from tests.support.turning import until
from tests.unit.transports.grpc.fakes import Client, Recorder, Recording, data, message, messages_of, play


class Releases:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def begun(client: Client, app: Recording, *extra: tuple[str, str]) -> tuple[int, Recorder]:
    stream = client.ask(b"hello", extra=extra)
    return stream, app.calls[-1]


def test_one_message_and_success() -> None:
    async def scenario() -> None:
        app, released = Recording(), Releases()
        client = Client(app)
        stream, served = begun(client, app)
        served.call.send([b"an", memoryview(b"swer")], released, status=0)
        assert await client.answer(stream) == ([b"answer"], {"grpc-status": "0"})
        assert released.count == 1
        assert served.call.over
        assert not served.cancelled

    play(scenario)


def test_several_messages_and_then_success() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream, served = begun(client, app)
        for text in (b"a", b"", b"c"):
            served.call.send([text])
        served.call.finish()
        served.call.send([b"too late"])
        assert await client.answer(stream) == ([b"a", b"", b"c"], {"grpc-status": "0"})

    play(scenario)


def test_a_failure_is_one_frame() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        await client.frames()
        stream, served = begun(client, app)
        served.call.fail(3, "50% of\nthis — is wrong")
        (answer,) = await client.frames()
        assert answer.flags & frames.END_STREAM
        fields = client.fields(answer)
        assert fields["grpc-status"] == "3"
        assert fields["grpc-message"] == "50%25 of%0Athis %E2%80%94 is wrong"
        assert answer.stream == stream
        assert served.cancelled

    play(scenario)


def test_a_long_text_is_cut() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream, served = begun(client, app)
        served.call.finish(13, "é" * 20_000)
        _, trailers = await client.answer(stream)
        assert 6000 < len(trailers["grpc-message"]) <= 3 * 6003
        assert trailers["grpc-message"].endswith("%C3%A9...")

    play(scenario)


def test_a_client_that_is_still_sending_is_told_to_stop() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin()
        await client.frames()
        app.calls[0].call.fail(12, "")
        answer, reset = await client.frames()
        assert client.fields(answer) == {":status": "200", "content-type": "application/grpc", "grpc-status": "12"}
        assert (reset.kind, reset.stream) == (frames.RST_STREAM, stream)

    play(scenario)


def test_a_large_message_waits_for_room() -> None:
    async def scenario() -> None:
        app, released = Recording(), Releases()
        client = Client(app)
        client.feed(frames.settings({Setting.INITIAL_WINDOW_SIZE: 1000}))
        client.feed(frames.window_update(0, 1 << 20))
        stream, served = begun(client, app)
        whole = bytes(range(256)) * 200
        served.call.send([whole[:3], memoryview(whole)[3:]], released, status=0)
        await asyncio.sleep(0)
        assert (served.call.over, released.count) == (False, 0)
        got = await client.frames()
        client.feed(frames.settings({Setting.INITIAL_WINDOW_SIZE: 5000}))
        got += await client.frames()
        client.feed(frames.window_update(stream, 1 << 20))
        got += await client.frames()
        sent = [frame for frame in got if frame.stream == stream]
        body = b"".join(frame.payload for frame in sent if frame.kind == frames.DATA)
        assert messages_of(body) == [whole]
        assert max(len(frame.payload) for frame in sent) <= frames.DEFAULT_FRAME_NBYTES
        assert sent[-1].flags & frames.END_STREAM
        assert (served.call.over, released.count) == (True, 1)

    play(scenario)


@pytest.mark.parametrize("nbytes", [984, 985, 986, 990, 1000, 1005])
def test_no_window_is_overrun(nbytes: int) -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        client.feed(frames.settings({Setting.INITIAL_WINDOW_SIZE: 1000}))
        stream, served = begun(client, app)
        served.call.send([b"first"])
        served.call.send([bytes(nbytes)], status=0)
        got = await client.frames()
        assert sum(len(frame.payload) for frame in got if frame.kind == frames.DATA) == min(10 + nbytes + 5, 1000)
        client.feed(frames.window_update(stream, 100))
        got += await client.frames()
        body = b"".join(frame.payload for frame in got if frame.kind == frames.DATA)
        assert messages_of(body) == [b"first", bytes(nbytes)]

    play(scenario)


def test_the_window_of_the_connection_is_shared() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        client.feed(frames.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 20}))
        first, one = begun(client, app)
        second, two = begun(client, app)
        one.call.send([b"small"])
        one.call.send([bytes(60_000)], status=0)
        two.call.send([bytes(60_000)], status=0)
        got = await client.frames()
        assert sum(len(frame.payload) for frame in got if frame.kind == frames.DATA) == frames.DEFAULT_WINDOW
        client.feed(frames.window_update(0, 1 << 20))
        got += await client.frames()
        for stream, before in ((first, [b"small"]), (second, [])):
            body = b"".join(item.payload for item in got if item.stream == stream and item.kind == frames.DATA)
            assert messages_of(body) == [*before, bytes(60_000)]

    play(scenario)


def test_a_client_that_does_not_read_is_waited_for() -> None:
    async def scenario() -> None:
        app, released = Recording(), Releases()
        client = Client(app)
        stream, served = begun(client, app)
        await client.frames()
        client.connection.pause_writing()
        served.call.send([b"kept"], released)
        served.call.finish()
        assert [frame for frame in await client.frames() if frame.kind == frames.DATA] == []
        assert released.count == 0
        client.connection.resume_writing()
        assert (await client.answer(stream))[0] == [b"kept"]
        assert released.count == 1

    play(scenario)


@pytest.mark.parametrize("how", ["reset", "lost", "fail"])
def test_what_waits_for_room_is_given_back(how: str) -> None:
    async def scenario() -> None:
        app, released = Recording(), Releases()
        client = Client(app)
        stream, served = begun(client, app)
        served.call.send([bytes(100_000)], released)
        if how == "reset":
            client.feed(frames.rst_stream(stream, frames.ErrorCode.CANCEL))
        elif how == "lost":
            client.connection.connection_lost(None)
        else:
            served.call.fail(13, "no more")
        assert released.count == 1
        await client.frames()
        client.feed(frames.window_update(0, 1 << 20) if how != "lost" else b"")
        served.call.pump()
        assert [frame for frame in await client.frames() if frame.kind == frames.DATA] == []
        served.call.send([b"late"], released)
        assert released.count == 2

    play(scenario)


def test_a_deadline() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream, served = begun(client, app, ("grpc-timeout", "1n"))
        while not served.call.over:  # noqa: ASYNC110 - a timer of the loop's
            await asyncio.sleep(0)
        _, trailers = await client.answer(stream)
        assert trailers == {
            ":status": "200",
            "content-type": "application/grpc",
            "grpc-status": str(int(Status.DEADLINE_EXCEEDED)),
            "grpc-message": "Deadline Exceeded",
        }
        assert served.cancelled

    play(scenario)


def test_a_message_that_is_cut_short() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin()
        client.feed(data(stream, message(b"hello")[:-1]))
        _, trailers = await client.answer(stream)
        assert trailers["grpc-status"] == str(int(Status.INTERNAL))
        assert app.calls[0].messages == []

    play(scenario)


def test_a_message_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "MAX_MESSAGE_NBYTES", 100)

    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin()
        client.feed(data(stream, message(bytes(101))[:20], end=False))
        _, trailers = await client.answer(stream)
        assert trailers["grpc-status"] == str(int(Status.RESOURCE_EXHAUSTED))
        assert trailers["grpc-message"] == "Received message larger than max (101 vs. 100)"

    play(scenario)


def test_compressed_messages_are_read() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin(("grpc-encoding", "deflate"))
        client.feed(data(stream, message(zlib.compress(b"hello"), flag=1) + message(b"plain")))
        assert app.calls[0].messages == [b"hello", b"plain"]

    play(scenario)


class Aside:
    """Decompression that takes its time, unless the event loop would have to wait for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        monkeypatch.setattr(call_module, "decompress", self)

    def __call__(self, data: bytes | memoryview, encoding: str, limit: int) -> bytes:
        if threading.current_thread() is not threading.main_thread():
            assert self.go.wait(10)
        return decompress(data, encoding, limit)


LARGE = random.Random(1).randbytes(5000)


def test_a_large_message_is_decompressed_aside_and_what_follows_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aside = Aside(monkeypatch)

    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin(("grpc-encoding", "gzip"))
        pressed = message(zlib.compress(LARGE, wbits=31), flag=1)
        client.feed(data(stream, pressed + message(b"plain"), end=False))
        client.feed(data(stream, pressed + message(b"last")))
        (served,) = app.calls
        assert (served.messages, served.ended) == ([], False)
        aside.go.set()
        await until(lambda: served.ended)
        assert served.messages == [LARGE, b"plain", LARGE, b"last"]

    play(scenario)


def test_no_more_room_is_granted_while_a_message_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    aside = Aside(monkeypatch)
    monkeypatch.setattr(call_module, "_CREDIT_NBYTES", 1000)

    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin(("grpc-encoding", "gzip"))
        await client.frames()
        client.feed(data(stream, message(zlib.compress(LARGE, wbits=31), flag=1), end=False))
        assert [frame for frame in await client.frames() if frame.stream == stream] == []
        aside.go.set()
        await until(lambda: bool(app.calls[0].messages))
        granted = [frame.kind for frame in await client.frames() if frame.stream == stream]
        assert granted == [frames.WINDOW_UPDATE]

    play(scenario)


def test_a_message_that_is_decompressed_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    aside = Aside(monkeypatch)

    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin(("grpc-encoding", "gzip"))
        client.feed(data(stream, message(zlib.compress(LARGE, wbits=31), flag=1) + message(b"plain")))
        (served,) = app.calls
        client.feed(frames.rst_stream(stream, frames.ErrorCode.CANCEL))
        assert served.cancelled
        aside.go.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)
        assert (served.messages, served.ended) == ([], False)

    play(scenario)


@pytest.mark.parametrize("kind", ["rubbish", "memory"])
def test_a_large_message_that_cannot_be_decompressed(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def exhausted(data: bytes, encoding: str, limit: int) -> bytes:
        raise MemoryError

    if kind == "memory":
        monkeypatch.setattr(call_module, "decompress", exhausted)

    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin(("grpc-encoding", "gzip"))
        client.feed(data(stream, message(LARGE, flag=1) + message(b"plain")))
        (served,) = app.calls
        await until(lambda: served.call.over)
        _, trailers = await client.answer(stream)
        wanted = Status.INTERNAL if kind == "rubbish" else Status.RESOURCE_EXHAUSTED
        assert trailers["grpc-status"] == str(int(wanted))
        assert served.messages == []

    play(scenario)


@pytest.mark.parametrize(
    ("extra", "sent"),
    [((), zlib.compress(b"x")), ((("grpc-encoding", "gzip"),), b"rubbish")],
    ids=["unnamed", "broken"],
)
def test_compressed_messages_that_cannot_be_read(extra: tuple[tuple[str, str], ...], sent: bytes) -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin(*extra)
        client.feed(data(stream, message(sent, flag=1)))
        _, trailers = await client.answer(stream)
        assert trailers["grpc-status"] == str(int(Status.INTERNAL))

    play(scenario)


def test_answers_can_be_compressed() -> None:
    async def scenario() -> None:
        app, released = Recording(), Releases()
        client = Client(app)
        await client.frames()
        _, served = begun(client, app)
        served.call.compress(Compressor("gzip", 6))
        served.call.send([b"a" * 500, memoryview(b"b" * 500)], released, status=0)
        head, body, _ = await client.frames()
        assert client.fields(head)["grpc-encoding"] == "gzip"
        assert body.payload[0] == 1
        assert zlib.decompress(body.payload[5:], 31) == b"a" * 500 + b"b" * 500
        assert released.count == 1

    play(scenario)
