"""Listening for HTTP: on TCP for clients and for scrapes, on the Unix socket for Jupyter and notebooks.

Each listener has a gate and the routes that it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from jupyter_pyserve.engine.listening import BACKLOG
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.settings import Restrictions
from jupyter_pyserve.transports.http import control, endpoints
from jupyter_pyserve.transports.http.connection import Connection
from jupyter_pyserve.transports.http.head import Gate, Head, HeadParser, Match
from jupyter_pyserve.v2.forwarding import HeaderPattern
from jupyter_pyserve.v2.routes import RouteError, match


class Connections:
    """The open connections of a listener."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._gone: asyncio.Future[None] | None = None

    def opened(self, connection: Connection) -> None:
        """One more."""
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """One less."""
        self._open.discard(connection)
        if not self._open and self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def shut_down(self) -> None:
        """Close each after what it is answering, and wait for the last."""
        for connection in list(self._open):
            connection.shutdown()
        if self._open:
            self._gone = asyncio.get_running_loop().create_future()
            await self._gone


class HttpServer:
    """One listener and its connections."""

    def __init__(
        self,
        service: Service,
        gate: Gate,
        match: Match = match,
        *,
        forwarding: HeaderPattern | None = None,
        restrictions: Restrictions | None = None,
    ) -> None:
        self.service = service
        self.heads = HeadParser(gate, match, forwarding=forwarding, restrictions=restrictions)
        self.connections = Connections()
        self._server: asyncio.Server | None = None

    def handle(self, head: Head, body: bytes) -> Any:
        """Answer a request that is not an inference."""
        if head.control is not None:
            query = head.target.partition(b"?")[2].decode("latin-1")
            return control.call(self.service, head.method, f"{head.control}?{query}", body)
        assert not isinstance(head.route, RouteError)
        return endpoints.call(self.service, head.route, body)

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections of a listening socket."""
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
        else:
            self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)

    async def close(self, timeout_s: float) -> None:
        """Stop accepting, let what is being answered finish, and close."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.connections.shut_down(), timeout_s)
