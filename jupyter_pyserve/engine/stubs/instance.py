"""One model instance: its stub process, the channel to it, and exactly which requests it holds.

Owns the life cycle of the process and the memory that it answers in. Decides nothing about scheduling: it executes the
batches it is given and reports answers, idleness and death to its owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from pyserve_stub.spin import USUAL
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Executed, Job
from jupyter_pyserve.engine.logs import LogBook, LogRecord
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.readiness import Readiness
from jupyter_pyserve.engine.stubs.admission import Admission
from jupyter_pyserve.engine.stubs.answers import Answers
from jupyter_pyserve.engine.stubs.attachments import Attachments
from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.engine.stubs.calls import Calls
from jupyter_pyserve.engine.stubs.channel import Channel
from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault
from jupyter_pyserve.engine.stubs.greeting import Greeting
from jupyter_pyserve.engine.stubs.process import Spawner, StubProcess
from jupyter_pyserve.engine.stubs.responses import ResponseArena
from jupyter_pyserve.engine.watching.tally import Tally
from jupyter_pyserve.model.config import InstanceSpec
from jupyter_pyserve.model.lifecycle import STUB, IllegalTransition, StubEvent, StubState, advance

_HELLO_TIMEOUT_S = 30.0
#: How long a process may take to end by itself after it has finalised, and the kernel to end it after a kill.
_EXIT_S = 1.0
_KILLED_S = 5.0
_DEAD = (StubState.CLOSED, StubState.FAILED)


class Instance:
    """A stub and everything the engine knows of it."""

    def __init__(
        self,
        spec: InstanceSpec,
        owner: Executed,
        spawner: Spawner,
        logs: LogBook,
        services: StubServices,
        *,
        model: str,
        version: int,
        limit: int,
    ) -> None:
        self.spec, self.name = spec, spec.name
        self.state = StubState.SPAWNED
        self.responses = ResponseArena(limit, self._tell_released)
        self._answers = Answers(self, owner.failed)
        self._held = self._answers.held
        self.in_flight = self._held.in_flight
        self.requests = self.failures = self.executing_since_ns = 0
        self.readiness: Readiness | None = None
        self.average_ns, self.average_size = 1_000_000.0, 1.0
        #: Whether its model has ever called another: then nothing waits behind what it executes, which may take long.
        self.calls_others = False
        #: The calls that what it executes waits for, by key.
        self.waits_for: dict[int, Job] = {}
        self.owner = owner
        self.tally, self.greeting = Tally(), Greeting()
        self.process = StubProcess(spawner, self._printed)
        self._log, self._services = logs.add, services
        self.model, self._version = model, str(version)
        self._channel: Channel | None = None
        self._calls = Calls(self.send)
        self.ask = self._calls.ask
        #: Where a debugger may attach; 0 is nowhere.
        self.debug_port = 0
        self._idle: asyncio.Future[None] | None = None
        self._sent: deque[int] = deque()
        self._attachments = Attachments(self._note)
        self.detach = self._attachments.drop
        self._max_concurrency: int | None = None
        self._limit: int | None = None
        self.admission = Admission(lambda: not self.busy, self._admit)

    @property
    def alive(self) -> bool:
        """Whether the process can be given work, now or after loading."""
        return self.state not in _DEAD

    @property
    def segments(self) -> dict[int, Segment]:
        """The memory that this instance answers in."""
        return self.responses.segments

    @property
    def pid(self) -> int:
        """The process id; 0 before there is one."""
        return self.process.pid

    # -- life cycle ---------------------------------------------------------------------------------------------------

    async def start(self, model_file: str) -> None:
        """Start the process and wait for its first frame."""
        self.greeting.expect()
        try:
            await self.process.start((model_file, self.name), self._open_channel)
            await self.greeting.wait(_HELLO_TIMEOUT_S)
            self.require_alive()
        except asyncio.TimeoutError:
            self.kill()
            raise StubDied from None
        except BaseException:
            self._channel.close() if self._channel is not None else self.process.close()
            raise

    def _open_channel(self, sock: socket.socket) -> None:
        self._channel = Channel(sock, self._on_frame, self._on_close, lambda: self._held)
        self.process.on_exit = self._channel.catch_up

    async def load(self, arguments: dict[str, Any]) -> str | None:
        """Import the model; the configuration that its auto-completion returned, if it ran."""
        self._advance(StubEvent.LOAD)
        reply = await self.ask("load", **arguments)
        config = reply.get("config")
        return config if isinstance(config, str) else None

    async def initialize(
        self, arguments: dict[str, Any], *, max_concurrency: int | None, arena: Sequence[Segment]
    ) -> None:
        """Construct and initialise the model; then it is ready."""
        self.attach(arena)
        self._limit = 0 if self.spec.passive else max_concurrency
        self._admit(self.admission.open)
        self._answers.decoupled = arguments["decoupled"]
        reply = await self.ask("initialize", instance_name=self.name, max_concurrency=max_concurrency, **arguments)
        self.readiness = Readiness(self._note) if reply.get("is_ready") is True else None
        self._advance(StubEvent.LOADED)

    def require_alive(self) -> None:
        """Raises `StubDied` when it has ended."""
        if not self.alive:  # its last words and its end came in one go
            raise StubDied

    async def stop(self, timeout_s: float) -> None:
        """Finalise and end the process; it is killed when that takes longer than `timeout_s`."""
        if self.alive:
            loaded = self.state in (StubState.READY, StubState.BUSY)
            self._advance(StubEvent.DRAIN)
            if loaded:
                with contextlib.suppress(StubDied, StubFault, asyncio.TimeoutError):
                    await asyncio.wait_for(self.ask("finalize"), timeout_s)
            if not loaded or not await self.process.wait(_EXIT_S):
                self.kill()
        if self._channel is not None:
            self._channel.close()
        await self.process.wait(_KILLED_S)

    def kill(self) -> None:
        """End the process at once; its death is then noticed like any other."""
        self.process.kill()

    async def gone(self) -> None:
        """Wait until a process that was killed has ended."""
        await self.process.wait(_KILLED_S)

    def trim(self) -> None:
        """Ask the stub to give the memory that it does not use back to the system."""
        self._attachments.sweep()
        self._note({"op": "trim"}, ())

    def catch_up(self) -> None:
        """Take in what the stub has said by now."""
        if self._channel is not None:
            self._channel.catch_up()

    def report(self, text: str) -> None:
        """Say something about this instance where its own words are kept."""
        self._record("log", "ERROR", text)

    async def epitaph(self) -> str:
        """How its process ended, as far as that can be known."""
        await self.process.wait(_EXIT_S)
        return f"Stub process '{self.name}' (pid {self.pid}) {self.process.end}"

    # -- work ---------------------------------------------------------------------------------------------------------

    def attach(self, segments: Sequence[Segment]) -> None:
        """Hand over memory in which inputs will lie, before anything refers to it."""
        for segment in segments:
            if segment.id not in self.responses.segments:
                self._attachments.add(segment)

    def execute(self, batches: list[list[Job]], now_ns: int) -> None:
        """Give the stub batches to execute one after the other; answers come to the owner."""
        if not self.in_flight:
            self.executing_since_ns = now_ns
            self._advance(StubEvent.DISPATCH)
        members = [self._encode(batch, now_ns) for batch in batches]
        self.in_flight += batches
        self._sent.append(len(batches))
        self.send(members[0] if len(members) == 1 else frames.encode_bundle(members))
        if self.calls_others:
            self.expect()
        elif self.average_ns < USUAL.budget_ns / 2 and len(self.in_flight) == 1 and self._channel is not None:
            self._channel.linger()  # the answer will be there before the loop has gone to sleep

    def expect(self) -> None:
        """The stub has been told something, and may soon have something to say."""
        if self._channel is not None:
            self._channel.expect()

    @property
    def room(self) -> int:
        """How many batches it may be given beside those that are not answered to the end."""
        if self._max_concurrency is None:
            return sys.maxsize
        return self._max_concurrency - len(self.in_flight) - self._held.aside

    def _admit(self, taking: bool) -> None:
        self._max_concurrency = self._limit if taking else 0

    @property
    def busy(self) -> bool:
        """Whether it holds any request."""
        return bool(self._held)

    @property
    def executing(self) -> bool:
        """Whether `execute` is going on, or will be."""
        return bool(self.in_flight) or self._held.coroutines > 0

    @property
    def outstanding(self) -> int:
        """How many of the packets that `execute` sent are not answered to the end."""
        return len(self._sent)

    def _encode(self, batch: list[Job], now_ns: int) -> bytes:
        requests = []
        for job in batch:
            job.refs += 1
            job.instance = self
            job.dispatched_ns = now_ns
            if job.foreign:
                self.attach(job.foreign)
            requests.append((job.key, job.meta, job.plan.layout, job.descriptors))
        flags = frames.INNER if batch[0].inner else 0
        return frames.encode_execute(requests, self.responses.take_released(), flags=flags)

    def holding(self, key: int) -> Job | None:
        """The request of that key, if the stub may still read its inputs."""
        return self._answers.reading(key)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send the stub a frame."""
        if self._channel is not None:
            self._channel.send(data, fds)

    async def idle(self) -> None:
        """Wait until everything that the stub was given is answered."""
        if self._held:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def cancel(self, job: Job) -> None:
        """Tell the stub that nobody waits for this request any more."""
        self.send(frames.encode_keys(frames.CANCEL, (job.key,)))

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """The engine is done with these tensors of the stub's."""
        if self.state not in _DEAD:
            self.responses.release(descriptors)

    def _tell_released(self, leases: Sequence[int]) -> None:
        self.send(frames.encode_keys(frames.RELEASE, leases))

    # -- frames -------------------------------------------------------------------------------------------------------

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        if fds:
            self._services.forked(self, fds)
        try:
            if data[0] == frames.RESPONSES:
                self._on_responses(data)
            elif data[0] == frames.STREAM:
                self._on_stream(data)
            elif data[0] == frames.STARTED:
                self._on_started(*frames.decode_keys(data))
            elif data[0] == frames.RELEASE:
                self._answers.inputs_released(frames.decode_keys(data))
            elif data[0] in (frames.INFER, frames.RETURN, frames.CANCEL):
                self._services.inference(self, data)
            else:
                self._on_cold(data[0], frames.decode_cold(data))
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError, IllegalTransition) as error:
            self._record("log", "ERROR", f"stopped: it broke the protocol ({error})")
            self.kill()

    def _on_cold(self, kind: int, message: dict[str, Any]) -> None:
        if kind == frames.NOTE:
            self.take_note(message)
        elif kind == frames.CALL:
            self._on_call(message)
        elif kind == frames.REPLY:
            self._calls.answered(message)
        else:
            raise WireError(f"unknown frame {kind}")

    def _on_responses(self, data: bytes) -> None:
        batch, responses, rescheduled, times, in_turn = self._answers.of_batch(data)
        self.requests += len(batch)
        if in_turn:
            self.average_ns += 0.1 * (times.infer_ns - self.average_ns)
            self.average_size += 0.1 * (len(batch) - self.average_size)
            self._next()
        self._no_longer_busy()
        self.owner.answered(self, batch, responses, times, rescheduled)

    def _on_stream(self, data: bytes) -> None:
        for job, response in self._answers.of_stream(data):
            self.owner.streamed(job, response)
        self._relieved()

    def _on_started(self, key: int) -> None:
        self._held.begun(key)
        self._next()
        self._relieved()

    def _next(self) -> None:
        """The head of the queue has gone."""
        self.waits_for.clear()  # whoever still waits for one is a thread of the model's own
        self._sent[0] -= 1
        if not self._sent[0]:
            self._sent.popleft()
        if self.in_flight:
            self.executing_since_ns = time.monotonic_ns()
        else:
            self._advance(StubEvent.IDLE)

    def _relieved(self) -> None:
        self._no_longer_busy()
        self.owner.relieved()

    def _no_longer_busy(self) -> None:
        if self._idle is not None and not self._idle.done() and not self._held:
            self._idle.set_result(None)

    def take_note(self, note: dict[str, Any]) -> None:
        """Hear what the stub, or a process that it forked, says without asking."""
        if note["op"] == "hello":
            self._advance(StubEvent.HELLO)
            self.greeting.hello(note)
        elif note["op"] == "unfit":
            self.greeting.unfit(note)
        elif note["op"] == "log":
            place = str(note["file"]), int(note["line"])
            self._record("log", str(note["level"]), str(note["text"]), str(note.get("request", "")), *place)
        elif note["op"] != "forked":  # that is said by the descriptor with it
            self._services.call(StubCall(self, note, self.send))

    def _on_call(self, message: dict[str, Any]) -> None:
        call = StubCall(self, message, self.send)
        (self.responses.grow if message["op"] == "grow" else self._services.call)(call)

    def _note(self, note: dict[str, Any], fds: Sequence[int]) -> None:
        self.send(frames.encode_cold(frames.NOTE, note), fds)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _on_close(self) -> None:
        self._advance(StubEvent.EOF)
        self.process.close()
        self._calls.end()
        self._services.ended(self)
        self.greeting.ended()
        if self.readiness is not None:
            self.readiness.close()
        executing, answering, waiting = self._answers.abandon()
        self._sent.clear()
        self._no_longer_busy()
        self.owner.died(self, executing, answering, waiting)
        self.responses.close()

    def _advance(self, event: StubEvent) -> None:
        self.state = advance(STUB, self.state, event)

    def _printed(self, stream: str, line: str, request: str) -> None:
        self._record(stream, "INFO" if stream == "stdout" else "ERROR", line, request)

    def _record(self, stream: str, level: str, text: str, request: str = "", file: str = "", line: int = 0) -> None:
        record = LogRecord(time.time(), self.model, self._version, self.name, self.pid, stream, level, text, request)
        self._log(record, file, line)
