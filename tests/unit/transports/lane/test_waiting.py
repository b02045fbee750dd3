from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest
from pyserve_stub.packets import receive_packet, send_packet

from jupyter_pyserve.transports.lane.waiting import Mailbox, Pending


class Post:
    """A mailbox whose frames name the pending that they settle, and the other end of its socket."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pending: dict[bytes, Pending] = {}
        self.ended: list[OSError] = []
        self.mailbox = Mailbox(ours, self._on_frame, self._on_end)

    def __enter__(self) -> Post:
        return self

    def __exit__(self, *_: object) -> None:
        self.mailbox.close()
        self.peer.close()

    def expect(self, name: bytes, future: asyncio.Future[bytes] | None = None) -> Pending:
        made = self.pending[name] = Pending(len(self.pending), future)
        return made

    def _on_frame(self, data: bytes, fds: Sequence[int]) -> None:
        self.pending[data].settle(data)

    def _on_end(self, error: OSError) -> None:
        self.ended.append(error)
        for item in self.pending.values():
            item.settle(None, error)


def test_an_answer_that_is_there() -> None:
    with Post() as post:
        pending = post.expect(b"a")
        send_packet(post.peer, b"a")
        post.mailbox.wait(pending)
        assert pending.result() == b"a"


def test_an_error_is_raised_by_whoever_asks() -> None:
    pending = Pending(1)
    pending.settle(None, KeyError("x"))
    with pytest.raises(KeyError):
        pending.result()


def test_only_the_first_answer_counts() -> None:
    pending = Pending(1)
    pending.settle("first")
    pending.settle("second", KeyError())
    assert pending.result() == "first"


def test_no_answer_in_time() -> None:
    with Post() as post:
        with pytest.raises(TimeoutError, match="the model did not answer in time"):
            post.mailbox.wait(post.expect(b"a"), 0.001)
        late = post.expect(b"b")
        send_packet(post.peer, b"b")
        post.mailbox.wait(late)  # and the next one is waited for without a limit again
        assert late.result() == b"b"


def test_the_end_of_the_engine_is_everybodys_answer() -> None:
    with Post() as post:
        pending = post.expect(b"a")
        post.peer.close()
        post.mailbox.wait(pending)
        with pytest.raises(ConnectionError, match="the engine is gone"):
            pending.result()
        with pytest.raises(BrokenPipeError, match="the lane is closed"):
            post.mailbox.send(b"x")


def test_a_frame_that_did_not_leave_may_be_sent_again_elsewhere() -> None:
    """An engine that ends with something unread resets the connection."""
    with Post() as post:
        post.mailbox.send(b"unread")
        post.peer.close()
        with pytest.raises(BrokenPipeError):
            post.mailbox.send(b"x")


def test_a_fork_closes_its_own_end_only() -> None:
    async def scenario(post: Post) -> None:
        loop, parents = asyncio.get_running_loop(), post.mailbox._sock.dup()
        post.mailbox.watch(loop)
        post.mailbox.close(ours=False)
        with parents:
            send_packet(parents, b"x")
        assert receive_packet(post.peer) == (b"x", [])
        assert len(post.mailbox._watched) == 1
        assert loop.remove_reader(fd), "the selector is the parent's, too"

    with Post() as post:
        fd = post.mailbox._sock.fileno()
        asyncio.run(scenario(post))


def test_a_thread_that_waits_is_woken_by_the_thread_that_reads() -> None:
    """The reader goes on to wait for its own answer; the other must not wait for that."""
    with Post() as post:
        slow, quick = post.expect(b"slow"), post.expect(b"quick")
        quick_done = threading.Event()

        def wait_quick() -> None:
            post.mailbox.wait(quick)
            quick_done.set()

        reader = threading.Thread(target=post.mailbox.wait, args=(slow,))
        reader.start()
        while not post.mailbox._reading.locked():
            pass
        other = threading.Thread(target=wait_quick)
        other.start()
        while not post.mailbox._waiting:
            pass
        send_packet(post.peer, b"quick")
        assert quick_done.wait(30)
        assert not slow.done
        send_packet(post.peer, b"slow")
        reader.join()
        other.join()
        assert slow.result() == b"slow"


def test_the_next_thread_reads_when_the_first_has_its_answer() -> None:
    with Post() as post:
        items = [post.expect(b"%d" % number) for number in range(8)]
        threads = [threading.Thread(target=post.mailbox.wait, args=(item,)) for item in items]
        for thread in threads:
            thread.start()
        for number in range(8):
            send_packet(post.peer, b"%d" % number)
        for thread in threads:
            thread.join()
        assert [item.result() for item in items] == [b"%d" % number for number in range(8)]


def test_an_event_loop_waits_too() -> None:
    async def scenario(post: Post) -> bytes:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        post.expect(b"a", future)
        post.mailbox.watch(loop)
        send_packet(post.peer, b"a")
        answer = await future
        post.mailbox.unwatch(loop)
        assert not loop.remove_reader(post.mailbox._sock.fileno())
        return answer

    with Post() as post:
        assert asyncio.run(scenario(post)) == b"a"


def test_a_thread_settles_what_a_loop_waits_for() -> None:
    async def scenario(post: Post) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        post.expect(b"future", future)
        own = post.expect(b"own")
        send_packet(post.peer, b"future")
        send_packet(post.peer, b"own")
        await asyncio.to_thread(post.mailbox.wait, own)
        return await future

    with Post() as post:
        assert asyncio.run(scenario(post)) == b"future"


def test_an_answer_for_a_loop_that_is_closed_is_dropped() -> None:
    loop = asyncio.new_event_loop()
    pending = Pending(1, loop.create_future())
    loop.close()
    pending.settle("x")
    assert pending.result() == "x"
