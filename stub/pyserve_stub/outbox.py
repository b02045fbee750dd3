"""Answers on their way out: who may still answer which request, and everything in the order in which it was said.

A request is open from the moment its batch is executed until its last response: what `execute` returned, what its
sender sent with FINAL, or an error. What the sender of a decoupled model sends leaves at once. Knows nothing of how a
model is run.
"""

from __future__ import annotations

import collections
import threading
from typing import Sequence

from .last_words import last_words
from .placing import INTERNAL, Placer, failure
from .responses import InferenceResponse
from .session import EngineGone, Session
from .states import KeepingPlacer, States
from .vocabulary import RESPONSE_COMPLETE_FINAL
from .wire import frames
from .wire.frames import PlainRequest, PlainResponse

#: How long a sender waits for a full arena in which nothing becomes free.
_PATIENCE_S = 5.0

#: Responses that share a packet, if they are ready while another packet is being sent.
_MAX_TOGETHER = 64

_DROPPED = (
    "nothing can answer this request any more: execute returned no response for it, and its response sender was "
    "dropped without FINAL"
)
_ENDLESS = (
    "nothing can end this request any more: its response sender was dropped without "
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL"
)

#: Requests with the names of the outputs that are wanted of each.
Known = Sequence["tuple[PlainRequest, frozenset[str]]"]


class Open:
    """A request that its sender may answer.

    While `executing` it stays known even when it is `closed`, so that it is not answered a second time.
    """

    __slots__ = ("closed", "executing", "final", "frame", "held", "placing", "wanted")

    def __init__(self, frame: PlainRequest, wanted: frozenset[str], *, executing: bool = True) -> None:
        self.frame = frame
        self.wanted = wanted
        self.executing = executing
        #: FINAL was said, and how many responses are being copied; the last of them takes it along.
        self.final = False
        self.placing = 0
        #: The one response of a model that is not decoupled, until FINAL.
        self.held: PlainResponse | None = None
        self.closed = False


class Outbox:
    """The answers of one stub. `keep_unfinished`: a request that nobody can answer any more stays open."""

    def __init__(
        self,
        session: Session,
        *,
        decoupled: bool = False,
        keep_unfinished: bool = False,
        states: States | None = None,
    ) -> None:
        self._session = session
        self._decoupled = decoupled
        self._keep_unfinished = keep_unfinished
        patience_s = _PATIENCE_S if decoupled else 0.0
        self._placer = Placer(session, patience_s) if states is None else KeepingPlacer(session, patience_s, states)
        self._executing: Known = ()
        self._open: dict[int, Open] = {}
        # Re-entrant: the destructor of a sender calls `drop` wherever it happens to run, maybe where the lock is held,
        # or where the session's are: so those are not waited for under this one.
        self._lock = threading.RLock()
        self._due: collections.deque[PlainResponse | bytes] = collections.deque()
        self._sending = threading.Lock()

    # -- batches ------------------------------------------------------------------------------------------------------

    def opened(self, batch: Known) -> None:
        """These requests are about to be executed."""
        self._executing = batch  # opened one by one, by their senders' first words: most have no sender
        if self._decoupled:
            self.detach(batch)

    def detach(self, batch: Known) -> None:
        """The batch goes on while others are executed."""
        with self._lock:
            for frame, wanted in batch:
                self._open.setdefault(frame[0], Open(frame, wanted))
        self._executing = ()

    def close(self, frame: PlainRequest, wanted: frozenset[str], returned: InferenceResponse | None) -> PlainResponse:
        """The answer to a request when `execute` is over: given back, or sent already, or to follow."""
        key = frame[0]
        if returned is not None and not self._open:  # as a rule
            return self._placer.respond(frame, wanted, returned)
        with self._lock:
            item = self._open.get(key)
            if returned is not None or (item is not None and item.closed):
                self._open.pop(key, None)
            elif item is not None:
                item.executing = False
            else:
                self._open[key] = Open(frame, wanted, executing=False)
        if returned is None:
            return (key, 0, frames.DEFERRED, b"", b"", ())
        return self._placer.respond(frame, wanted, returned)

    def reschedule(self, frame: PlainRequest) -> PlainResponse:
        """The request comes again, unless it was answered; what its sender says from now on reaches nobody."""
        flag = frames.DEFERRED if self._forget(frame[0]) else frames.RESCHEDULED
        return (frame[0], 0, flag, b"", b"", ())

    def abandon(self, frame: PlainRequest, text: str) -> PlainResponse:
        """`execute` failed: its text, unless the request was answered before. Later answers reach nobody.

        What was sent without FINAL is an answer too: a client of Triton's gets it over gRPC.
        """
        with self._lock:
            item = self._open.get(frame[0])
            held = item.held if item is not None and not item.closed else None
            if item is not None and held is not None:
                item.held = None
                del self._open[frame[0]]
                key, code, flags, layout, parameters, descriptors = held
                return (key, code, flags | frames.FINAL | frames.BATCH_FAILED, layout, parameters, descriptors)
        if self._forget(frame[0]):
            return (frame[0], 0, frames.DEFERRED | frames.BATCH_FAILED, b"", b"", ())
        return failure(frame[0], INTERNAL, text, frames.FINAL | frames.BATCH_FAILED)

    def over(self, batch: Known) -> None:
        """`execute` is over: a sender that a request of this batch is only now asked for comes too late."""
        if self._executing is batch:
            self._executing = ()

    def post(self, data: bytes) -> None:
        """Send a frame, after everything that was sent before."""
        if self._due or not self._sending.acquire(blocking=False):
            self._due.append(data)
        else:
            try:
                self._session.send(data)
            finally:
                self._sending.release()
        self._flush()

    def _forget(self, key: int) -> bool:
        """Whether the request was answered to the end."""
        with self._lock:
            item = self._open.pop(key, None)
            self._session.credits.close(key)
        if item is not None and item.held is not None and not item.closed:
            self._placer.free(item.held[5])
        return item is not None and item.closed

    # -- senders ------------------------------------------------------------------------------------------------------

    def send(self, key: int, response: InferenceResponse | None, flags: int) -> None:
        """A response sender's `send`: a decoupled model's responses leave at once, any other's with FINAL."""
        final = bool(flags & RESPONSE_COMPLETE_FINAL)
        with self._lock:
            item = self._find(key)
            if item is None:
                return
            if response is None:
                item.final = True
                self._finish(item)
            else:
                item.placing += 1
        if response is not None:
            if self._decoupled:
                self._session.throttle()
                if self._session.credits:
                    self._await_credit(key)
            ready = self._placer.respond(item.frame, item.wanted, response, 0)
            with self._lock:
                item.placing -= 1
                too_late = item.closed or self._open.get(key) is not item
                if not too_late:
                    item.final = item.final or final
                    self._take(item, ready)
            if too_late:
                self._placer.free(ready[5])
        self._flush()

    def _await_credit(self, key: int) -> None:
        limits = self._session.credits
        if not limits.allows(key):
            self._session.wait(lambda: limits.allows(key))
        limits.spend(key)

    def drop(self, key: int) -> None:
        """Nobody has the sender of this request any more. Called by destructors, in any thread at any moment."""
        with self._lock:
            item = self._find(key)
            if item is None:
                return
            if item.held is not None:
                self._session.free_later([lease for _, _, _, lease in item.held[5] if lease])
            if not self._keep_unfinished:
                text = _ENDLESS if self._decoupled else _DROPPED
                self._due.append(failure(key, INTERNAL, text + last_words()))
            self._closed(item)
        try:
            self._flush()
        except (EngineGone, OSError):
            pass

    def _find(self, key: int) -> Open | None:
        """The open request of that key, if it may still be answered."""
        item = self._open.get(key)
        if item is None:
            for frame, wanted in self._executing:
                if frame[0] == key:
                    item = self._open[key] = Open(frame, wanted)
        return item if item is not None and not item.closed else None

    def _take(self, item: Open, ready: PlainResponse) -> None:
        if not self._decoupled:
            item.held = ready
            self._finish(item)
        elif item.final and not item.placing:
            self._due.append(_final(ready))
            self._closed(item)
        else:
            self._due.append(ready)

    def _finish(self, item: Open) -> None:
        """Say FINAL if it is time for it."""
        if not item.final or item.placing:
            return
        if item.held is not None:
            self._due.append(_final(item.held))
        elif self._decoupled:
            self._due.append((item.frame[0], 0, frames.FINAL | frames.BARE, b"", b"", ()))
        self._closed(item)

    def _closed(self, item: Open) -> None:
        item.closed = True
        self._session.credits.close(item.frame[0])
        if not item.executing:
            del self._open[item.frame[0]]

    # -- the channel --------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Send what is due. One thread sends for all, so that the order holds and what comes meanwhile shares packets.

        Nobody waits for it: a destructor may be running in the very thread that is sending.
        """
        while self._due and self._sending.acquire(blocking=False):
            try:
                while self._due:
                    self._session.send(self._packet())
            finally:
                self._sending.release()

    def _packet(self) -> bytes:
        due = self._due
        together: list[PlainResponse] = []
        while due and len(together) < _MAX_TOGETHER:
            item = due[0]
            if isinstance(item, bytes):
                if together:
                    break
                due.popleft()
                return item
            together.append(item)
            due.popleft()
        return frames.encode_responses(together, kind=frames.STREAM)


def _final(response: PlainResponse) -> PlainResponse:
    key, code, flags, layout, text, descriptors = response
    return (key, code, flags | frames.FINAL, layout, text, descriptors)
