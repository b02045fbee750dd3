"""The stub's end of its channel to the engine: frames in and out, descriptors received, the response arena.

It owns the socket and the mapped memory; it does not know what a model is. Everything here may be called from any
thread except `receive`, which belongs to the main thread. Whoever waits for a frame reads for all.
"""

from __future__ import annotations

import collections
import itertools
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Iterable, Sequence

from .credits import Credits
from .device_memory import announced
from .memory import Segments
from .packets import receive_packet, send_packet
from .spin import CALLED, OF_STUB, SPARE_PROCESSORS, Spinner
from .turns import Turns
from .wire import frames
from .wire.allocator import Block, BlockAllocator

if TYPE_CHECKING:
    import asyncio

_MAX_CANCELLED = 4096

#: A sender waits when so many bytes or blocks of responses are not released yet. When none is released for a while, it
#: may go on, with as many again: a client that keeps or does not read its responses must not stop a model for ever.
_UNREAD_NBYTES = 128 << 20
_UNREAD_BLOCKS = 16384
_STALL_S = 1.0
_KEPT = object()


class EngineGone(Exception):
    """The engine closed the channel, or died."""


class ArenaFull(Exception):
    """The engine gives this instance no more memory; the text says what was asked for."""


class Hold:
    """Keeps the inputs of one request; when the last array over them dies, the engine is told."""

    __slots__ = ("key", "session")

    def __init__(self, session: Session, key: int) -> None:
        self.session = session
        self.key = key
        session.answering[key] = None

    def __del__(self) -> None:
        self.session.release_inputs(self.key)


class _Call:
    """A question to the engine that is not answered yet."""

    __slots__ = ("reply",)

    def __init__(self) -> None:
        self.reply: dict[str, Any] | None = None


class Session:
    """Frames, memory and calls over one channel.

    Destructors run in any thread at any moment, and they send: so sending takes no lock.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.spinner = Spinner(sock, OF_STUB)
        self._inbox: collections.deque[tuple[bytes, list[int]]] = collections.deque()
        self._call_ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._lock = threading.Lock()
        self._turns = Turns()
        self._watching: dict[asyncio.AbstractEventLoop, int] = {}
        #: What the engine has given back, and how often it was waited for in vain.
        self._freed = 0
        self._stalls = 0
        self._unwanted: collections.deque[int] = collections.deque()
        self.segments = Segments()
        self._allocator = BlockAllocator()
        self.cancelled: dict[int, None] = {}
        #: Requests whose inputs are alive and whose answer is not sent: popping a key is what decides who reports it.
        self.answering: dict[int, object] = {}
        #: Called when the engine has given memory back by itself.
        self.on_freed: Callable[[], None] = lambda: None
        #: What is done about notes, by their `op`; the descriptors that came along are the callee's.
        self.on_note: dict[str, Callable[[Sequence[int]], None]] = {"trim": self._trim}
        self.credits = Credits(self.cancelled)
        #: Called before whoever reads goes to sleep.
        self.on_sleep: Callable[[], None] = lambda: None
        #: Called by an event loop that reads, when the engine is gone.
        self.on_gone: Callable[[], None] = lambda: None
        #: Called with the answers to what was asked of other models, by whichever thread reads.
        self.on_answers: Callable[[bytes], None] = lambda data: None

    @property
    def sock(self) -> socket.socket:
        """The channel's socket."""
        return self._sock

    @property
    def arena_used(self) -> int:
        """Bytes of responses that the engine has not released yet."""
        return self._allocator.used

    @property
    def arena_capacity(self) -> int:
        """Bytes of the response arena."""
        return self._allocator.capacity

    def send(self, data: bytes) -> None:
        """Send one frame; atomic, so any thread may."""
        try:
            send_packet(self._sock, data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EngineGone from error

    def forget(self) -> None:
        """In a forked child: the channel is the parent's. Closed here, lest it stays open when the parent dies."""
        self._sock.close()

    def receive(self) -> bytes:
        """The next frame that is not about memory or cancellation; waits."""
        while True:
            if (frame := self._next()) is not None:
                data, fds = frame
                if data[0] != frames.NOTE:
                    return data
                self._note(frames.decode_cold(data), fds)

    def _next(self) -> tuple[bytes, list[int]] | None:
        """What another thread has read while it waited for a reply, else what comes next."""
        turns = self._turns
        if not turns.try_take() and not turns.take(lambda: self._inbox):
            return self._inbox.popleft()
        try:
            return self._inbox.popleft() if self._inbox else self._await()
        finally:
            turns.give_up()

    def _await(self) -> tuple[bytes, list[int]] | None:
        """`_read`, awake at first if the next frame is likely to come soon."""
        if self.spinner.ready():
            return self._read(0)
        self.on_sleep()
        began_ns = time.monotonic_ns()
        frame = self._read(0)
        self.spinner.slept(time.monotonic_ns() - began_ns)
        return frame

    def poll(self) -> None:
        """Take in what has arrived, without waiting: cancellations act at once, other frames wait their turn."""
        try:
            self._take_in()
        except EngineGone:
            pass  # the main thread will see it

    def _take_in(self) -> None:
        if not self._turns.try_take():
            return  # whoever reads takes it in
        try:
            while True:
                self._keep(self._read(socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
        finally:
            self._turns.give_up()

    def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Ask the engine and wait for its reply."""
        call = _Call()
        call_id = next(self._call_ids)
        self._calls[call_id] = call
        try:
            self.send(frames.encode_cold(frames.CALL, {"id": call_id, "op": op, **arguments}))
            self.wait(lambda: call.reply is not None)
            assert call.reply is not None
            return call.reply
        finally:
            self._calls.pop(call_id, None)

    def wait(self, done: Callable[[], object]) -> None:
        """Wait for something that comes through the channel; frames for the main thread are kept for it."""
        if self._turns.take(done):
            self.spinner.patience = CALLED  # until what is executed now is over
            try:
                while not done():
                    self._keep(self._await() if SPARE_PROCESSORS else self._read(0))
            finally:
                self._turns.give_up()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the running `loop` read too, for one more future."""
        count = self._watching.get(loop, 0)
        self._watching[loop] = count + 1
        if not count:
            loop.add_reader(self._sock.fileno(), self._on_readable, loop)

    def unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """A future of `loop` is done."""
        count = self._watching.pop(loop, 1) - 1
        if count:
            self._watching[loop] = count
        elif not loop.is_closed():
            loop.remove_reader(self._sock.fileno())

    def _on_readable(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._take_in()
        except EngineGone:
            loop.remove_reader(self._sock.fileno())
            self.on_gone()

    def _keep(self, frame: tuple[bytes, list[int]] | None) -> None:
        if frame is not None:
            self._inbox.append(frame)
            self._turns.tell()

    def release_inputs(self, key: int) -> None:
        """Nothing reads the inputs of a request any more: its answer will say so, or a frame of its own does."""
        if self.answering.pop(key, _KEPT) is not _KEPT:
            return
        try:
            self.send(frames.encode_keys(frames.RELEASE, (key,)))
        except (EngineGone, OSError):
            pass  # the engine is gone, and the memory with it

    def inputs_released(self, key: int) -> bool:
        """Whether they were released before the answer; if not, a frame of its own will say it later."""
        return self.answering.pop(key, _KEPT) is _KEPT

    def allocate(self, nbytes: int, patience_s: float = 0.0) -> Block:
        """A block of the response arena, which the engine enlarges when it is full.

        When it may not: wait for as long as blocks are given back, with pauses of at most `patience_s`.
        """
        with self._lock:
            block = self._allocator.allocate(nbytes)
        if self._unwanted:
            self._sweep()
        if block is None:
            self.poll()  # for what the engine has given back meanwhile
            block = self._reserve(nbytes)
        while block is None:
            freed = self._freed
            try:
                self._grow(nbytes)
            except ArenaFull:
                if not self._await_freed(freed, patience_s):
                    raise
            block = self._reserve(nbytes)
        return block

    def _await_freed(self, freed: int, patience_s: float) -> bool:
        """Whether more is given back than was at first."""
        if patience_s:
            self._await_memory(lambda: self._freed > freed, patience_s)
        return self._freed > freed

    def _reserve(self, nbytes: int) -> Block | None:
        with self._lock:
            return self._allocator.allocate(nbytes)

    def free(self, leases: Iterable[int]) -> None:
        """The engine has sent these responses; their blocks can be used again."""
        with self._lock:
            for lease in leases:
                self._freed += self._allocator.free(lease)
        if self._unwanted:
            self._sweep()
        self._turns.tell()

    def free_later(self, leases: Iterable[int]) -> None:
        """As `free`, for destructors: they may run while the lock is held, in the very thread that holds it."""
        self._unwanted.extend(leases)
        self._sweep()
        self.on_freed()

    def _sweep(self) -> None:
        """Free what destructors left; whoever holds the lock comes here when he has let it go."""
        while self._unwanted and self._lock.acquire(blocking=False):
            try:
                while self._unwanted:
                    self._freed += self._allocator.free(self._unwanted.popleft())
            finally:
                self._lock.release()

    def throttle(self) -> None:
        """Wait while the engine has much to read. It takes in what arrives, whatever the main thread is doing."""
        if self._has_room():
            if (
                self._stalls
                and self._allocator.blocks <= _UNREAD_BLOCKS // 2
                and self._allocator.used <= _UNREAD_NBYTES // 2
            ):
                self._stalls = 0
            return
        self.poll()
        while not self._has_room():
            freed = self._freed
            self._await_memory(self._has_room, _STALL_S)
            self._stalls += self._freed == freed

    def _has_room(self) -> bool:
        allocator, share = self._allocator, self._stalls + 1
        return allocator.used < share * _UNREAD_NBYTES and allocator.blocks < share * _UNREAD_BLOCKS

    def _await_memory(self, done: Callable[[], object], timeout_s: float) -> None:
        """Take in what arrives, or let others do it, until something is `done`."""
        end_s = time.monotonic() + timeout_s
        if self._turns.take(done, end_s):
            try:
                while not done() and self.spinner.wait(end_s - time.monotonic()):
                    self._keep(self._read(socket.MSG_DONTWAIT))
            finally:
                self._turns.give_up()

    def _grow(self, nbytes: int) -> None:
        reply = self.call("grow", nbytes=nbytes)
        if not reply.get("ok") or not reply.get("segments"):
            raise ArenaFull(str(reply.get("error", "")))

    def _read(self, flags: int) -> tuple[bytes, list[int]] | None:
        """The next frame; None if it was one that acts at once. The caller has the right to read."""
        try:
            data, fds = receive_packet(self._sock, flags)
        except ConnectionResetError as error:
            raise EngineGone from error
        if not data:
            raise EngineGone
        return None if self._absorb(data, fds) else (data, fds)

    def _absorb(self, data: bytes, fds: list[int]) -> bool:
        """Handle frames whose order among the others does not matter; False for all others."""
        kind = data[0]
        if kind == frames.RELEASE:
            self.free(frames.decode_keys(data))
            self.on_freed()
        elif kind == frames.CANCEL:
            self._cancel(frames.decode_keys(data))
            self._turns.tell()
        elif kind == frames.CREDIT:
            self.credits.grant(frames.decode_keys(data))
            self._turns.tell()
        elif kind == frames.REPLY:
            reply = frames.decode_cold(data)
            rest = self._map(reply.get("segments", ()), fds)
            call = self._calls.pop(reply.get("id", 0), None)
            if call is not None:
                call.reply = {**reply, "fds": rest} if rest else reply
                self._turns.tell()
            else:  # nobody waits any more
                for fd in rest:
                    os.close(fd)
        elif kind == frames.RESPONSES:
            self.on_answers(data)
            self._turns.tell()
        else:
            if kind == frames.NOTE and fds:  # at once: an answer that follows may lie there
                fds[:] = self._map(frames.decode_cold(data).get("segments", ()), fds)
            return False
        return True

    def _cancel(self, keys: Sequence[int]) -> None:
        self.cancelled.update(dict.fromkeys(keys))
        while len(self.cancelled) > _MAX_CANCELLED:  # those of long ago are answered
            del self.cancelled[next(iter(self.cancelled))]

    def _note(self, note: dict[str, Any], fds: Sequence[int]) -> None:
        """In its turn: what came before may refer to memory that is dropped now."""
        self.segments.drop(*note.get("dropped", ()))
        self.segments.on_devices.update(announced(note))
        op = note.get("op")
        if op in self.on_note:
            self.on_note[op](fds)

    def _trim(self, fds: Sequence[int]) -> None:
        """Nothing has been asked for a while: what the arena does not need goes back to the system."""
        with self._lock:
            for segment_id, offset, nbytes in self._allocator.free_ranges():
                self.segments.get(segment_id).discard(offset, nbytes)

    def _map(self, announced: Sequence[dict[str, Any]], fds: Sequence[int]) -> Sequence[int]:
        """Take memory in; the descriptors behind it are returned."""
        for item, fd in zip(announced, fds):
            self.segments.add(item["id"], fd, item["nbytes"], item["writable"])
            if item.get("arena") == "responses":
                with self._lock:
                    self._allocator.add_segment(item["id"], item["nbytes"])
        return fds[len(announced) :]
