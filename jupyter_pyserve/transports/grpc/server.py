"""Listening for gRPC: connections, who may use them, and which calls there are."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import socket
import ssl

from jupyter_pyserve.engine.listening import BACKLOG, holds_token
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import GrpcSettings, KeepaliveSettings, TlsSettings
from jupyter_pyserve.transports.grpc import compression, methods, reflection
from jupyter_pyserve.transports.grpc.call import Call, Handler, Status
from jupyter_pyserve.transports.grpc.connection import Connection
from jupyter_pyserve.transports.grpc.heads import own_metadata
from jupyter_pyserve.transports.grpc.infer import Infer
from jupyter_pyserve.transports.grpc.requests import Requests
from jupyter_pyserve.transports.grpc.stream_infer import StreamInfer
from jupyter_pyserve.transports.grpc.unary import Unary
from jupyter_pyserve.v2.forwarding import HeaderPattern

#: As Triton's, for tests of clients: how many seconds the answers of all other methods are held back.
_DELAY = "TRITONSERVER_SERVER_DELAY_GRPC_RESPONSE_SEC"
_INFER = methods.SERVICE + "ModelInfer"
_INFERENCES = (_INFER, methods.SERVICE + "ModelStreamInfer")


class GrpcServer:
    """One listener and its connections; a token, if there is one, is asked for in each call's metadata."""

    def __init__(self, service: Service, settings: GrpcSettings, token: str) -> None:
        self._service = service
        self._settings = settings
        self._token = token
        self._requests = Requests(service)
        self._restricted = {
            path: (f"triton-grpc-protocol-{key}", value.encode())
            for group, key, value in settings.restricted
            for path in methods.group_paths(group)
        }
        hidden = frozenset(("authorization",)) if token else frozenset()
        self._forwarding = HeaderPattern(settings.forward_pattern, hidden) if settings.forward_pattern else None
        delay_s = float(os.environ.get(_DELAY, "0"))
        self._methods = methods.delayed(delay_s) if delay_s else methods.METHODS
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self._gone: asyncio.Future[None] | None = None

    @property
    def keepalive(self) -> KeepaliveSettings:
        """How connections are kept alive."""
        return self._settings.keepalive

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections of a listening socket."""
        tls = _tls_context(self._settings.tls) if self._settings.tls is not None else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG, ssl=tls)

    async def close(self, timeout_s: float) -> None:
        """Stop accepting, let what is going on finish, and close."""
        if self._server is not None:
            self._server.close()
        self._requests.stop()
        for connection in list(self._open):
            connection.shutdown()
        if self._open:
            self._gone = asyncio.get_running_loop().create_future()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._gone, timeout_s)
        for connection in list(self._open):
            connection.abort()

    def opened(self, connection: Connection) -> None:
        """One more."""
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """One less."""
        self._open.discard(connection)
        if not self._open and self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def begin(self, call: Call) -> None:
        """Find who serves a call."""
        if self._token and not holds_token(call.head.metadata.get(b"authorization", b""), self._token):
            text = "Unauthorized: this port expects the metadata 'authorization: token <token>'"
            call.fail(Status.UNAUTHENTICATED, text)
        elif not compression.is_known(call.head.encoding):
            call.refuse_encoding()
        elif call.head.path in self._restricted and not self._knows(call):
            key = self._restricted[call.head.path][0]
            call.fail(Status.UNAVAILABLE, f"This protocol is restricted, expecting header '{key}'")
        else:
            handler = self._handler(call)
            if handler is None:
                call.fail(Status.UNIMPLEMENTED, "")
            else:
                call.serve(handler)

    def _knows(self, call: Call) -> bool:
        key, value = self._restricted[call.head.path]
        return hmac.compare_digest(call.head.metadata.get(key.lower().encode(), b""), value)

    def _handler(self, call: Call) -> Handler | None:
        path = call.head.path
        if path in _INFERENCES:
            if self._settings.compression != "none":
                call.compress(compression.choose(self._settings.compression, call.head.accepted))
            forwarded = self._forwarding.choose(own_metadata(call.head)) if self._forwarding is not None else ()
            return (Infer if path == _INFER else StreamInfer)(self._requests, call, forwarded)
        if path in reflection.PATHS and self._settings.reflection:
            return reflection.Reflection(call)
        method = self._methods.get(path)
        return Unary(self._service, call, *method) if method is not None else None


def _tls_context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.root:
            context.load_verify_locations(settings.root)
    except (OSError, ssl.SSLError) as error:
        raise PyServeError(Code.INVALID_ARG, f"failed to start GRPC service: the TLS files: {error}") from error
    if settings.mutual:
        context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context
