"""Composition: an engine with its listeners, from settings to a clean end; the one place that knows all layers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_pyserve.engine.listening import bind_tcp, is_loopback
from jupyter_pyserve.engine.server_log import ServerLog
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import EngineSettings, ListenSettings, Restrictions
from jupyter_pyserve.transports.http.head import Gate, Match
from jupyter_pyserve.transports.http.server import HttpServer
from jupyter_pyserve.transports.lane.server import LaneServer
from jupyter_pyserve.v2.forwarding import HeaderPattern
from jupyter_pyserve.v2.routes import match, match_all, match_metrics

if TYPE_CHECKING:
    from jupyter_pyserve.transports.grpc.server import GrpcServer

_log = logging.getLogger(__name__)


class Server(Protocol):
    """A listener with its connections."""

    async def close(self, timeout_s: float) -> None:
        """Stop accepting, let what is being answered finish, and close."""


class Engine:
    """A service and everything that listens for it."""

    def __init__(self, settings: EngineSettings, listen: ListenSettings, log: ServerLog, *, announce: bool) -> None:
        self._settings = settings
        self._listen = listen
        self._announce = announce
        self.service = Service(
            settings,
            log=log,
            output=sys.stderr if announce else sys.stdout,
            marked=announce,
            runtime_dir=listen.runtime_dir,
        )
        self._servers: list[Server] = []
        self._lanes: LaneServer | None = None
        self._stop = asyncio.Event()
        self._signal = 0
        self._orphaned = False

    async def run(self) -> int:
        """Serve until told to stop; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        if self._announce:
            self._stop_with_stdin()
        try:
            await self._start_unless_stopped()
        except PyServeError as error:
            await self._close()
            return _say_why(error)
        # What start-up made lives for good: don't walk it again, and collect less often than requests' garbage wants.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 50)
        if not self._stop.is_set():
            self._say("ready", pid=os.getpid(), **self.service.urls)
        await self._stop.wait()
        if self._signal:
            print(f"Signal ({self._signal}) received.", file=sys.stderr, flush=True)
        status = await self._close()
        if self._orphaned and self._listen.runtime_dir is not None:
            folder = Path(self._listen.runtime_dir)
            if (folder / "http.sock").is_socket():  # else it is no folder that was made for an engine
                shutil.rmtree(folder, ignore_errors=True)  # its owner cannot do it any more
        return status

    async def _start_unless_stopped(self) -> None:
        """A model may take for ever to load; whoever ends the engine meanwhile does not wait for it."""
        starting, stopping = asyncio.ensure_future(self._start()), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
        if not starting.cancelled():
            starting.result()

    async def _start(self) -> None:
        listen = self._listen
        tcp = metrics = None
        metrics_address = listen.metrics_address or listen.http_address
        grpc = self._bind_grpc()
        if listen.http_port is not None:
            tcp = bind_tcp(listen.http_address, listen.http_port, reuse_port=listen.reuse_http_port)
            self.service.urls["http_url"] = _url(listen.http_address, tcp)
        if listen.metrics_port is not None:
            metrics = bind_tcp(metrics_address, listen.metrics_port, reuse_port=False, name="Metrics")
            self.service.urls["metrics_url"] = f"{_url(metrics_address, metrics)}/metrics"
        if listen.http_fd is not None:
            await self._serve(socket.socket(fileno=listen.http_fd), Gate(trusted=True), match_all)
        # Its modules are read while the models load, which is waiting for the most part.
        importing = asyncio.ensure_future(asyncio.to_thread(_import_grpc)) if grpc is not None else None
        if listen.http_fd is not None:
            self._say("loading")
        await self.service.start()
        if listen.lane_fd is not None:  # who connects before waits in the backlog until the models are there
            self._lanes = LaneServer(self.service, socket.socket(fileno=listen.lane_fd))
        if tcp is not None:
            gate = Gate(token=listen.token, loopback=is_loopback(listen.http_address))
            await self._serve(tcp, gate, restrictions=listen.http_restrictions)
            _log.info("Started HTTPService at %s:%d", listen.http_address, tcp.getsockname()[1])
        if metrics is not None:
            gate = Gate(token=listen.token, loopback=is_loopback(metrics_address))
            await self._serve(metrics, gate, match_metrics)
            _log.info("Started Metrics Service at %s:%d", metrics_address, metrics.getsockname()[1])
        if grpc is not None and importing is not None:
            await self._serve_grpc(grpc, await importing)

    def _bind_grpc(self) -> socket.socket | None:
        listen = self._listen
        if listen.grpc_port is None:
            return None
        if listen.grpc_port and listen.grpc_port == listen.http_port and listen.grpc_address == listen.http_address:
            where = f"{listen.grpc_address}:{listen.grpc_port}"
            text = f"The server cannot listen to HTTP requests and GRPC requests at the same address and port {where}"
            raise PyServeError(Code.INVALID_ARG, text)
        sock = bind_tcp(listen.grpc_address, listen.grpc_port, reuse_port=listen.reuse_grpc_port, name="GRPC")
        self.service.urls["grpc_url"] = _url(listen.grpc_address, sock).removeprefix("http://")
        return sock

    async def _serve_grpc(self, sock: socket.socket, server_class: type[GrpcServer]) -> None:
        server = server_class(self.service, self._listen.grpc, self._listen.token)
        await server.listen(sock)
        self._servers.append(server)
        _log.info("Started GRPCInferenceService at %s:%d", self._listen.grpc_address, sock.getsockname()[1])

    async def _serve(
        self, sock: socket.socket, gate: Gate, routes: Match = match, *, restrictions: Restrictions | None = None
    ) -> None:
        server = HttpServer(self.service, gate, routes, forwarding=self._forwarding(), restrictions=restrictions)
        await server.listen(sock)
        self._servers.append(server)

    def _forwarding(self) -> HeaderPattern | None:
        """Which headers models see; not the one that holds the token."""
        pattern = self._listen.http_forward_pattern
        hidden = frozenset(("authorization",)) if self._listen.token else frozenset[str]()
        return HeaderPattern(pattern, hidden) if pattern else None

    def _say(self, event: str, **facts: Any) -> None:
        """How far the start is, for whoever waits for it."""
        if self._announce:
            print(json.dumps({"event": event, **facts}), flush=True)

    def _on_signal(self, number: int) -> None:
        self._signal = number
        self._stop.set()

    def _stop_with_stdin(self) -> None:
        """Stop when standard input ends: whoever started this engine holds the other end, and dies with it.

        Or ends itself, and processes that it forked hold the other end still.
        """
        loop = asyncio.get_running_loop()

        def orphaned(fd: int) -> None:
            loop.remove_reader(fd)
            self._orphaned = True
            self._stop.set()

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                if not os.read(0, 4096):
                    orphaned(0)

        os.set_blocking(0, False)
        loop.add_reader(0, readable)
        with contextlib.suppress(OSError):  # of kernels that have no such thing
            parent = os.pidfd_open(os.getppid())
            loop.add_reader(parent, orphaned, parent)

    async def _close(self) -> int:
        """Named phases: stop accepting, answer what is being answered, unload, end the processes."""
        timeout_s = self._settings.exit_timeout_s
        self.service.accepting = False
        self.service.watch.close()  # else those who watch would be waited for
        self.service.logs.close()
        _log.info("Waiting for in-flight requests to complete.")

        async def phases() -> None:
            lanes = [self._lanes.close(timeout_s)] if self._lanes is not None else []
            await asyncio.gather(*(server.close(timeout_s) for server in self._servers), *lanes)
            _log.info("All models are stopped, unloading models")
            await self.service.close()

        try:
            await asyncio.wait_for(phases(), timeout_s)
        except asyncio.TimeoutError:
            _log.error("Exit timeout expired. Exiting immediately.")
            self.service.zygote.kill()  # and the kernel ends its stubs with it
            self.service.environments.discard()
            return 1
        return 0


def _say_why(error: PyServeError) -> int:
    """Why there is no server, as Triton says it; the exit status."""
    print(f"error: creating server: {error.code.name.capitalize()} - {error.message}", file=sys.stderr)
    return 1


def _url(address: str, sock: socket.socket) -> str:
    host = "localhost" if address == "0.0.0.0" else address  # noqa: S104
    return f"http://{host}:{sock.getsockname()[1]}"


def _import_grpc() -> type[GrpcServer]:
    from jupyter_pyserve.transports.grpc.server import GrpcServer

    return GrpcServer


def raise_descriptor_limit() -> None:
    """As many clients as the system allows: each is a descriptor, and the usual soft limit is a thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(settings: EngineSettings, listen: ListenSettings, *, announce: bool = False) -> int:
    """Run an engine in this process until it is told to stop; `announce` is for whoever started it as a child."""
    log = ServerLog(settings.log)
    try:
        log.install()
    except PyServeError as error:
        return _say_why(error)
    raise_descriptor_limit()
    if listen.runtime_dir is not None and listen.token:
        _write_token(Path(listen.runtime_dir, "token"), listen.token)

    async def main() -> int:
        return await Engine(settings, listen, log, announce=announce).run()

    return _run_loop(main())


def _write_token(path: Path, token: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(token)


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    """On uvloop where there is one: it halves what a request costs the loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return int(uvloop.run(main))
