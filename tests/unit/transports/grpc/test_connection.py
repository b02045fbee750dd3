"""HTTP/2 as clients speak it, and as nobody should."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from jupyter_pyserve.settings import KeepaliveSettings
from jupyter_pyserve.transports.grpc import frames
from jupyter_pyserve.transports.grpc.call import WINDOW_NBYTES
from jupyter_pyserve.transports.grpc.frames import ErrorCode, Setting
from tests.unit.transports.grpc.fakes import Client, Recording, data, message, play


def test_the_greeting() -> None:
    async def scenario() -> None:
        client = Client(Recording(), greet=False)
        settings, window = await client.frames()
        assert (settings.kind, window.kind) == (frames.SETTINGS, frames.WINDOW_UPDATE)
        assert dict(frames.read_settings(settings.payload))[Setting.INITIAL_WINDOW_SIZE] == WINDOW_NBYTES
        client.feed(frames.PREFACE + frames.settings({Setting.MAX_FRAME_SIZE: 20_000}), piece=5)
        (ack,) = await client.frames()
        assert (ack.kind, ack.flags) == (frames.SETTINGS, frames.ACK)
        assert client.connection.max_frame_nbytes == 20_000

    play(scenario)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nXX"])
def test_what_is_not_http2(first: bytes) -> None:
    async def scenario() -> None:
        client = Client(Recording(), greet=False)
        client.feed(first)
        assert await client.fault() == (ErrorCode.PROTOCOL_ERROR, "this port speaks HTTP/2")

    play(scenario)


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_calls_in_pieces(piece: int) -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        for number in range(2):
            stream = client.begin()
            client.send(stream, b"hello", b"", b"x" * 100, piece=piece)
            assert app.calls[number].messages == [b"hello", b"", b"x" * 100]
            assert app.calls[number].ended

    play(scenario)


def test_a_message_in_many_frames() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin()
        whole = message(bytes(range(256)) * 100) + message(b"next")
        for at in range(0, len(whole), 999):
            client.feed(data(stream, whole[at : at + 999], end=False))
        client.feed(data(stream, b""))
        (call,) = app.calls
        assert call.messages == [bytes(range(256)) * 100, b"next"]
        assert call.ended

    play(scenario)


@pytest.mark.parametrize("piece", [1, 9, 10, 4096, 100_000, 1 << 20])
def test_a_large_frame_in_pieces(piece: int) -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        count = min(300_000, 400 * piece)
        first, second = client.begin(), client.begin()
        frame = data(first, message(bytes(count)) + message(b"more"), end=False) + data(first, message(b"last"))
        client.feed(frame + data(second, message(b"other")), piece)
        assert app.calls[0].messages == [bytes(count), b"more", b"last"]
        assert app.calls[0].ended
        assert app.calls[1].messages == [b"other"]

    play(scenario)


def test_other_frames_may_not_be_that_large() -> None:
    async def scenario() -> None:
        client = Client(Recording())
        client.feed(frames.head((1 << 16) + 1, frames.SETTINGS, 0, 0))
        assert (await client.fault())[0] is ErrorCode.FRAME_SIZE_ERROR

    play(scenario)


def test_padding_and_priority_are_left_out() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        flags = frames.END_HEADERS | frames.PADDED | frames.WITH_PRIORITY
        client.feed(frames.frame(frames.HEADERS, flags, 1, b"\x03" + bytes(5) + client.block() + bytes(3)))
        padded = b"\x02" + message(b"hello") + bytes(2)
        client.feed(frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, padded))
        client.feed(frames.frame(frames.PRIORITY, 0, 1, bytes(5)))
        client.feed(frames.frame(200, 0, 1, b"frames that nobody knows are not minded"))
        assert app.calls[0].messages == [b"hello"]

    play(scenario)


def test_a_head_in_pieces() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        block = client.block(("x", "y" * 500))
        client.feed(frames.frame(frames.HEADERS, 0, 1, block[:10]))
        client.feed(frames.frame(frames.CONTINUATION, 0, 1, block[10:300]))
        assert not app.calls
        client.feed(frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[300:]))
        assert app.calls[0].call.head.metadata[b"x"] == b"y" * 500

    play(scenario)


def test_heads_are_remembered_as_long_as_they_mean_the_same() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        for value in ("a", "a", "a", "b", "b", "a"):
            client.ask(b"", extra=(("x", value),))
        assert [call.call.head.metadata[b"x"] for call in app.calls] == [b"a", b"a", b"a", b"b", b"b", b"a"]
        assert app.calls[1].call.head is app.calls[2].call.head

    play(scenario)


Wrong = Callable[[Client], bytes]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        pytest.param(lambda client: data(0, b""), ErrorCode.PROTOCOL_ERROR, id="data of no stream"),
        pytest.param(lambda client: data(1, b""), ErrorCode.PROTOCOL_ERROR, id="data before the head"),
        pytest.param(lambda client: data(1, bytes((1 << 20) + 1)), ErrorCode.FRAME_SIZE_ERROR, id="too large"),
        pytest.param(lambda client: frames.window_update(0, 0), ErrorCode.FLOW_CONTROL_ERROR, id="no increment"),
        pytest.param(
            lambda client: frames.window_update(0, frames.MAX_WINDOW),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="window too large",
        ),
        pytest.param(
            lambda client: frames.settings({Setting.INITIAL_WINDOW_SIZE: 2**31}),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="initial window too large",
        ),
        pytest.param(
            lambda client: frames.settings({Setting.MAX_FRAME_SIZE: 1}), ErrorCode.PROTOCOL_ERROR, id="frame size"
        ),
        pytest.param(
            lambda client: frames.frame(frames.SETTINGS, 0, 0, b"abc"), ErrorCode.FRAME_SIZE_ERROR, id="half a setting"
        ),
        pytest.param(lambda client: frames.frame(frames.PING, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR, id="ping"),
        pytest.param(lambda client: frames.frame(frames.PUSH_PROMISE, 0, 1), ErrorCode.PROTOCOL_ERROR, id="push"),
        pytest.param(
            lambda client: frames.frame(frames.HEADERS, frames.END_HEADERS, 2, client.block()),
            ErrorCode.PROTOCOL_ERROR,
            id="even stream",
        ),
        pytest.param(
            lambda client: frames.frame(frames.HEADERS, 0, 1, client.block()) + frames.settings({}),
            ErrorCode.PROTOCOL_ERROR,
            id="head interrupted",
        ),
        pytest.param(
            lambda client: frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b""),
            ErrorCode.PROTOCOL_ERROR,
            id="continuation of nothing",
        ),
        pytest.param(
            lambda client: frames.frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1, b"\xff" * 9),
            ErrorCode.PROTOCOL_ERROR,
            id="only padding",
        ),
        pytest.param(
            lambda client: frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
            ErrorCode.COMPRESSION_ERROR,
            id="no head",
        ),
        pytest.param(
            lambda client: (
                frames.frame(frames.HEADERS, 0, 1, bytes(16_000))
                + frames.frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 2
            ),
            ErrorCode.ENHANCE_YOUR_CALM,
            id="endless head",
        ),
        pytest.param(
            lambda client: frames.frame(frames.HEADERS, 0, 1, client.block()) + frames.frame(frames.CONTINUATION, 0, 1),
            ErrorCode.ENHANCE_YOUR_CALM,
            id="empty continuation",
        ),
    ],
)
def test_a_broken_rule_ends_the_connection(wrong: Wrong, code: ErrorCode) -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        client.feed(wrong(client))
        assert (await client.fault())[0] is code

    play(scenario)


def test_a_fault_cancels_what_goes_on() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        client.begin()
        client.feed(data(0, b""))
        assert app.calls[0].cancelled

    play(scenario)


def test_a_client_may_not_send_more_than_there_is_room_for() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin()
        app.calls[0].call.stalled = True
        piece = data(stream, message(bytes(16_000)), end=False)
        for _ in range(WINDOW_NBYTES // 16_005):
            client.feed(piece)
        assert not client.is_closed()
        client.feed(piece)
        assert (await client.fault())[0] is ErrorCode.FLOW_CONTROL_ERROR

    play(scenario)


def test_room_is_granted_as_messages_are_taken() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.begin()
        await client.frames()
        sent = 0
        for _ in range(200):
            client.feed(data(stream, message(bytes(16_000)), end=False))
            sent += 16_005
        updates = [frame for frame in await client.frames() if frame.kind == frames.WINDOW_UPDATE]
        granted = sum(int.from_bytes(frame.payload, "big") for frame in updates if frame.stream == stream)
        assert 0 <= sent - granted < WINDOW_NBYTES // 4 + 16_005

    play(scenario)


def test_pings_are_answered() -> None:
    async def scenario() -> None:
        client = Client(Recording())
        await client.frames()
        client.feed(frames.frame(frames.PING, 0, 0, b"12345678"))
        client.feed(frames.frame(frames.PING, frames.ACK, 0, b"12345678"))
        (answer,) = await client.frames()
        assert answer == (frames.PING, frames.ACK, 0, b"12345678")

    play(scenario)


def test_too_many_pings() -> None:
    async def scenario() -> None:
        client = Client(Recording(KeepaliveSettings(max_ping_strikes=2)))
        for _ in range(4):
            client.feed(frames.frame(frames.PING, 0, 0, bytes(8)))
        assert await client.fault() == (ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")

    play(scenario)


def test_a_client_that_asks_and_never_reads() -> None:
    async def scenario() -> None:
        client = Client(Recording())
        for _ in range(2):
            client.feed(frames.settings({}) * 9999)
        assert not client.is_closed()
        client.transport.stuck = True
        client.feed(frames.settings({}) * 10_001)
        assert (await client.fault())[0] is ErrorCode.ENHANCE_YOUR_CALM

    play(scenario)


@pytest.mark.parametrize(
    ("extra", "status"),
    [((":method", "GET"), "405"), (("content-type", "application/json"), "415")],
)
def test_requests_that_are_no_calls(extra: tuple[str, str], status: str) -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.ask(b"", extra=(extra,))
        (answer,) = [frame for frame in await client.frames() if frame.stream == stream]
        assert answer.flags & frames.END_STREAM
        assert client.fields(answer)[":status"] == status
        assert not app.calls
        assert not client.is_closed()

    play(scenario)


def test_a_reset_stream_is_cancelled_and_others_go_on() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        first, second = client.begin(), client.begin()
        client.feed(frames.rst_stream(first, ErrorCode.CANCEL))
        assert [call.cancelled for call in app.calls] == [True, False]
        client.send(first, b"late")
        client.feed(frames.rst_stream(first, ErrorCode.CANCEL) + frames.window_update(first, 5))
        app.calls[0].call.send([b"late"], status=0)
        client.send(second, b"hello")
        app.calls[1].call.send([b"done"], status=0)
        assert (await client.answer(second))[0] == [b"done"]
        assert app.calls[0].messages == []

    play(scenario)


def test_a_lost_connection_cancels_all() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        client.begin()
        client.begin()
        client.connection.connection_lost(None)
        assert [call.cancelled for call in app.calls] == [True, True]
        assert app.open == 0

    play(scenario)


def test_what_was_not_sent_before_the_end_is_dropped() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        client.ask(b"hello")
        await client.frames()
        app.calls[0].call.send([b"too late"])
        client.transport.closed = True
        client.connection.connection_lost(None)
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
        assert await client.frames() == []
        assert failures == []

    play(scenario)


def test_shutting_down_waits_for_what_goes_on() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        stream = client.ask(b"hello")
        await client.frames()
        client.connection.shutdown()
        refused = client.ask(b"too late")
        goaway, reset = await client.frames()
        assert (goaway.kind, int.from_bytes(goaway.payload[:4], "big")) == (frames.GOAWAY, stream)
        assert (reset.kind, reset.stream) == (frames.RST_STREAM, refused)
        assert int.from_bytes(reset.payload, "big") == ErrorCode.REFUSED_STREAM
        assert not client.is_closed()
        app.calls[0].call.send([b"done"], status=0)
        assert client.is_closed()
        assert (await client.answer(stream))[0] == [b"done"]

    play(scenario)


def test_shutting_down_when_nothing_goes_on() -> None:
    async def scenario() -> None:
        client = Client(Recording())
        client.connection.shutdown()
        assert (await client.fault())[0] is ErrorCode.NO_ERROR

    play(scenario)


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_pyserve.transports.grpc.connection._PREFACE_TIMEOUT_S", 0.0)

    async def scenario() -> None:
        client = Client(Recording(), greet=False)
        while not client.transport.aborted:  # noqa: ASYNC110 - a timer of the loop's
            await asyncio.sleep(0)

    play(scenario)


def test_what_is_sent_at_one_turn_leaves_in_one_piece() -> None:
    async def scenario() -> None:
        app = Recording()
        client = Client(app)
        streams = [client.ask(b"hello") for _ in range(3)]
        await client.frames()
        writes: list[bytes] = []
        client.transport.write = writes.append  # type: ignore[assignment]
        for call in app.calls[:2]:
            call.call.send([b"done"], status=0)
        assert writes == []
        await asyncio.sleep(0)
        assert len(writes) == 1
        app.calls[2].call.send([b"alone"], status=0)  # nothing else is asked for: at once
        assert len(writes) == 2
        assert len(streams) == 3

    play(scenario)
