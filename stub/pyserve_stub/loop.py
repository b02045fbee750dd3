"""The stub's main loop: load the model when told, execute what arrives, finalise when told or when orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import platform
import socket
import sys
import time
from typing import Any, Iterator, Sequence

from . import debugging, last_words, output, readiness
from . import status as page_status
from .bls import Calls
from .control import ModelControl, Refused
from .engine_metrics import EngineMetrics
from .executor import Executor
from .faults import describe
from .host import Host, OfflineHost, set_host
from .loader import Loader, LoadError, set_model_dir
from .messages import InferenceRequest, InferenceResponse, ResponseIterator
from .outbox import Outbox
from .packets import send_packet
from .process import exit_when_peer_closes, restore_signals, show_stacks_on
from .session import EngineGone, Session
from .spin import CALLED, OF_STUB
from .states import States
from .status import STATUS_NBYTES, write_status
from .vocabulary import LogLevel, TritonModelException
from .wire import frames
from .wire.layout import WireError

#: How long a model may take to finalise after the engine is gone.
_ORPHAN_GRACE_S = 5.0

_LEVELS = ("INFO", "WARNING", "ERROR", "VERBOSE")


class EngineHost(Host):
    """Carries what a model asks of its server over the channel."""

    def __init__(self, session: Session) -> None:
        super().__init__(EngineMetrics(session))
        self.session = session
        self.calls = Calls(session)
        self._control = ModelControl(session)
        #: Whether the model may call others: when it is initialised, and not finalised.
        self.serving = False
        self.outbox: Outbox | None = None

    def move_to(self, session: Session) -> None:
        """In a forked process: what the model asks for goes over a channel of its own; it has no requests to answer."""
        self.session = session
        self.calls = Calls(session)
        self._control = ModelControl(session)
        self.outbox = None

    def log(self, level: int, filename: str, line: int, message: str) -> None:
        """One log line, with the caller's file and line as Triton prints them."""
        note = {"op": "log", "level": _LEVELS[level], "file": os.path.basename(filename), "line": line, "text": message}
        request = output.current_request()
        if request:
            note["request"] = request
        self.session.send(frames.encode_cold(frames.NOTE, note))

    def is_cancelled(self, request_key: int | None) -> bool:
        """Whether the client of a request has gone, as far as the engine has said so by now."""
        self.session.poll()
        return request_key in self.session.cancelled

    def bls(self, request: InferenceRequest, decoupled: bool) -> InferenceResponse | ResponseIterator:
        """A request to another model, waited for."""
        self._require_serving()
        return self.calls.exec(request, decoupled)

    def async_bls(self, request: InferenceRequest, decoupled: bool) -> asyncio.Future[Any]:
        """A request to another model, awaited."""
        self._require_serving()
        return self.calls.async_exec(request, decoupled)

    def _require_serving(self) -> None:
        if not self.serving:
            raise TritonModelException("BLS is only supported during the 'execute' function.")

    def free_memory(self) -> int:
        """What is left of the response arena before it grows."""
        return self.session.arena_capacity - self.session.arena_used

    def load_model(self, name: str, config: str, files: dict[str, bytes] | None) -> None:
        """Load another model."""
        with self._refusing():
            self._control.load(name, config, files)

    def unload_model(self, name: str, unload_dependents: bool) -> None:
        """Begin to unload one."""
        with self._refusing():
            self._control.unload(name, unload_dependents)

    def is_model_ready(self, name: str, version: str) -> bool:
        """Whether one is ready."""
        with self._refusing():
            return self._control.is_ready(name, version)

    def shared_array(self, name: str) -> Any:
        """An array that a kernel shares."""
        try:
            return self._control.shared_array(name)
        except Refused as error:
            raise TritonModelException(str(error)) from None

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            raise self.refusal(str(error)) from None

    def send_response(self, request_key: int, response: InferenceResponse | None, flags: int) -> None:
        """A response sender's `send`."""
        if self.outbox is not None:
            self.outbox.send(request_key, response, flags)

    def sender_dropped(self, request_key: int) -> None:
        """A response sender died that never said FINAL."""
        if self.outbox is not None:
            self.outbox.drop(request_key)


class Stub:
    """One model instance: the channel, the status page and, once loaded, the model."""

    def __init__(self, session: Session, host: EngineHost, page: mmap.mmap) -> None:
        self._session = session
        self._host = host
        self._page = page
        self._loader: Loader | None = None
        self._executor: Executor | None = None
        self._pid = os.getpid()
        session.on_freed = self._show_arena
        session.on_note["readiness"] = self._answer_checks

    def run(self) -> None:
        """Serve until told to finalise, or until the engine is gone."""
        self._session.send(
            frames.encode_cold(
                frames.NOTE,
                {
                    "op": "hello",
                    "magic": frames.MAGIC,
                    "version": frames.VERSION,
                    "interpreter": sys.executable,
                    "python": platform.python_version(),
                },
            )
        )
        try:
            while self._step():
                pass
        except EngineGone:
            self._finalize()

    def _step(self) -> bool:
        data = self._session.receive()
        if data[0] == frames.EXECUTE:
            self._execute(data)
            return True
        if data[0] == frames.BUNDLE:
            for member in frames.decode_bundle(data):
                self._execute(member)
            return True
        if data[0] != frames.CALL:
            raise WireError(f"unexpected frame {data[0]}")
        call = frames.decode_cold(data)
        reply = self._handle(call)
        self._session.send(frames.encode_cold(frames.REPLY, {"id": call["id"], **reply}))
        return bool(call["op"] != "finalize")

    def _execute(self, data: bytes) -> None:
        executor = self._executor
        if executor is None:
            raise WireError("a request before the model is loaded")
        page_status.show_busy(self._page, frames.first_key(data), time.monotonic_ns())
        executor.run(data)
        self._session.spinner.patience = CALLED if data[1] == frames.INNER else OF_STUB
        self._show(page_status.READY)

    def _handle(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            if call["op"] == "load":
                return {"ok": True, "config": self._load(call)}
            if call["op"] == "initialize":
                return {"ok": True, **self._initialize(call)}
            if call["op"] == "debug":
                return {"ok": True, "port": debugging.listen(call["port"], call["sources"])}
            if call["op"] == "finalize":
                self._finalize()
            return {"ok": True}
        except (LoadError, debugging.DebuggerMissing) as error:
            return {"ok": False, "text": str(error), "frames": [], "exception": None}
        except BaseException as error:  # noqa: BLE001 - whatever user code raises becomes the load's answer
            fault = describe(error)
            return {
                "ok": False,
                "text": fault.text,
                "exception": fault.exc_type,
                "frames": [frame._asdict() for frame in fault.frames],
                "missing": error.name if isinstance(error, ModuleNotFoundError) else None,
            }

    def _load(self, call: dict[str, Any]) -> str | None:
        self._show(page_status.LOADING)
        names = ("model_dir", "version", "filename", "model_name", "backend_dir")
        self._loader = Loader(**{name: call[name] for name in names if name in call})
        set_model_dir(self._loader.version_dir)
        self._loader.import_class()
        config = call.get("auto_complete")
        return self._loader.auto_complete(config) if config is not None else None

    def _initialize(self, call: dict[str, Any]) -> dict[str, Any]:
        loader = self._loader
        if loader is None:
            raise LoadError("initialize before load")
        executor = Executor(
            self._session,
            loader.model_name,
            call["instance_name"],
            loader.model_file,
            call["decoupled"],
            call.get("max_concurrency"),
            call.get("keep_unfinished", False),
            States(call["states"]) if call.get("states") else None,
        )
        self._host.instance_name = call["instance_name"]
        self._host.outbox = executor.outbox
        self._host.calls.is_waited_for = executor.is_waited_for
        loader.initialize(call["args"])
        executor.model = loader.model
        self._executor = executor
        self._host.serving = True
        self._show(page_status.READY)
        return {"is_ready": True} if readiness.has_check(loader.model) else {}

    def _finalize(self) -> None:
        self._show(page_status.FINALIZING)
        self._host.serving = False
        if self._executor is not None:
            self._executor.close()
            self._executor = None
        if self._loader is not None and self._loader.model is not None:
            try:
                self._loader.finalize()
            except Exception as error:  # noqa: BLE001 - logged and ignored, as on Triton
                with contextlib.suppress(EngineGone, OSError):
                    self._host.log(int(LogLevel.INFO), self._loader.model_file, 0, describe(error).text)

    def _answer_checks(self, fds: Sequence[int]) -> None:
        if self._loader is not None and self._executor is not None:
            run = self._executor.event_loop.run_beside
            readiness.answer_checks(fds[0], self._loader.model, self._host.instance_name, run)

    def _show(self, state: int, request: int = 0) -> None:
        executor, session = self._executor, self._session
        requests, failures = (executor.requests, executor.failures) if executor is not None else (0, 0)
        now_ns = time.monotonic_ns()
        used, capacity = session.arena_used, session.arena_capacity
        write_status(self._page, (state, self._pid, request, now_ns, requests, failures, used, capacity))

    def _show_arena(self) -> None:
        page_status.write_arena(self._page, self._session.arena_used, self._session.arena_capacity)


def _leave_to_parent(host: EngineHost) -> None:
    """In a process that the model forked: it is no stub, and must neither speak for one nor keep its channel open.

    A channel of its own lets it call other models; the parent's carries the engine's end of that, and is closed.
    """
    output.start_anew()
    parents = host.session
    if host.serving:
        try:
            host.move_to(Session(_own_channel(parents.sock)))
        except OSError:  # the engine is gone, or no descriptor is left
            set_host(OfflineHost())
    else:
        set_host(OfflineHost())
    parents.forget()
    restore_signals()


def _own_channel(parents: socket.socket) -> socket.socket:
    """A new channel to the engine, which gets its end of it over the parent's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            send_packet(parents, frames.encode_cold(frames.NOTE, {"op": "forked"}), (theirs.fileno(),))
        except OSError:
            ours.close()
            raise
    return ours


def run_stub(channel_fd: int, status_fd: int) -> None:
    """Run one stub over the descriptors that its parent handed to it."""
    sock = socket.socket(fileno=channel_fd)
    page = mmap.mmap(status_fd, STATUS_NBYTES)
    show_stacks_on(page_status.STACKS_SIGNAL, status_fd)
    last_words.listen()
    debugging.install_hook()
    session = Session(sock)
    host = EngineHost(session)
    set_host(host)
    os.register_at_fork(after_in_child=lambda: _leave_to_parent(host))
    exit_when_peer_closes(sock, _ORPHAN_GRACE_S)
    Stub(session, host, page).run()
