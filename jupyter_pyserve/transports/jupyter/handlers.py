"""The extension's HTTP endpoints: who may pass, and the relay between the client and the engine.

Each request is authenticated and authorised before its body is read and before an engine is started for it. Knows
nothing of what the requests mean beyond the action that `paths` assigns to them.
"""

from __future__ import annotations

import asyncio
import enum
import json
import sys
from http import HTTPStatus
from types import TracebackType
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_pyserve.transports.jupyter import paths
from jupyter_pyserve.transports.jupyter.headers import FramingError, framing, request_headers, response_headers
from jupyter_pyserve.transports.jupyter.proxy import EngineGoneError, Exchange, ResponseHead
from jupyter_pyserve.transports.jupyter.supervisor import Engine, EngineUnavailableError
from jupyter_pyserve.transports.jupyter.tracebacks import without_frames


class Relay(enum.Enum):
    """How relaying the engine's answer ended."""

    COMPLETE = enum.auto()
    NO_ANSWER = enum.auto()  # nothing has been sent to the client yet
    CUT_OFF = enum.auto()  # the client must not take what it has for all
    CLIENT_GONE = enum.auto()


@web.stream_request_body
class EngineProxyHandler(APIHandler):
    """Relays one request under `/pyserve/` to the engine, streaming both ways."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    auth_resource = paths.RESOURCE
    #: Whether a client may ask for a WebSocket here.
    takes_upgrades = False

    #: What is asked of the engine: path and query.
    engine_target = ""
    _exchange: Exchange | None = None
    _relaying: asyncio.Task[Relay] | None = None
    _problem: tuple[int, str] | None = None
    _started = False

    def initialize(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def content_security_policy(self) -> str:
        # What comes from a model is data, whatever it looks like: it must never act in the name of this server.
        return f"{super().content_security_policy}; sandbox"

    async def prepare(self) -> None:  # type: ignore[override]
        """Everything that can refuse the request comes first; then the engine is asked."""
        await super().prepare()
        method = self.request.method or ""
        if self.current_user is None or (self.wants_upgrade and not self.takes_upgrades):
            raise web.HTTPError(403)
        path = paths.engine_path(self.request.path, self.base_url)
        if path is None:
            raise web.HTTPError(404)
        action = paths.action(method, path)
        if not await self._may(action):
            raise web.HTTPError(403, f"User is not authorized to {action} on resource: {self.auth_resource}.")
        self._track_activity = paths.is_activity(method)
        self.engine_target = path + paths.engine_query(self.request.query)
        if not self.wants_upgrade:
            await self._ask_engine(method, self.engine_target)

    async def _may(self, action: str) -> bool:
        allowed = self.authorizer.is_authorized(self, self.current_user, action, self.auth_resource)
        return bool(await ensure_async(allowed))

    @property
    def wants_upgrade(self) -> bool:
        """Whether the client asks for a WebSocket, in any spelling."""
        return "websocket" in self.request.headers.get("Upgrade", "").lower()

    async def _ask_engine(self, method: str, target: str) -> None:
        sent = list(self.request.headers.get_all())
        try:
            body = framing(sent)
        except FramingError as error:
            raise web.HTTPError(400, str(error)) from error
        if not (self._engine.running or paths.starts_engine(self.request.query)):
            self._problem = (503, "the inference engine is not running")
            return
        # The body is never held here; how large it may be is for the engine to say.
        self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr]
        try:
            self._exchange = await Exchange.open(
                await self._engine.ready(), method=method, target=target, headers=request_headers(sent), body=body
            )
        except (EngineUnavailableError, EngineGoneError) as error:
            # Told after the body has been read and dropped: hanging up on a client that still sends would lose it.
            self._problem = (503, str(error))
            return
        # The answer may start, and may have to be taken, before the engine has the whole request.
        self._relaying = asyncio.create_task(self._relay(self._exchange))

    async def data_received(self, chunk: bytes) -> None:
        if self._exchange is not None:
            await self._exchange.send(chunk)

    async def _answer(self) -> None:
        if self._exchange is not None and self._relaying is not None:
            await self._exchange.end()
            await asyncio.wait({self._relaying})
            outcome = Relay.CLIENT_GONE if self._relaying.cancelled() else self._relaying.result()
            if outcome is Relay.CLIENT_GONE and not self._started:
                # Nobody will see it but the reader of the log.
                self.set_status(499, "Client Closed Request")
        if self._problem is not None:
            status, message = self._problem
            self.set_status(status)
            await self.finish(json.dumps({"error": message}))

    async def _relay(self, exchange: Exchange) -> Relay:
        complete = False
        try:
            head = await exchange.head()
            self._start(head)
            if not exchange.has_body:  # else they go together: stock clients hold a connection from head to end
                await self.flush()
            elif head.status >= HTTPStatus.BAD_REQUEST and not await self._may(paths.EXECUTE):
                told = without_frames(b"".join([piece async for piece in exchange.body()]))
                self.set_header("Content-Length", len(told))
                self.write(told)
                await self.flush()
            async for piece in exchange.body():
                self.write(piece)
                await self.flush()
            complete = True
        except EngineGoneError as error:
            self.log.warning("pyserve: %s", error)
            if self._started:
                return Relay.CUT_OFF
            self._problem = (502, str(error))
            return Relay.NO_ANSWER
        except StreamClosedError:
            return Relay.CLIENT_GONE
        finally:
            exchange.close()
            if self._started and not complete:
                self._hang_up()
        return Relay.COMPLETE

    def _start(self, head: ResponseHead) -> None:
        self.set_status(head.status, head.reason)
        self.clear_header("Content-Type")
        try:
            for name, value in response_headers(head.headers):
                self.add_header(name, value)
        except ValueError as error:
            self.clear()
            raise EngineGoneError(f"the inference engine's answer has an unusable header: {error}") from error
        self._started = True

    def _hang_up(self) -> None:
        """Ends the connection in a way that the client cannot take for the end of the answer."""
        connection: Any = self.request.connection
        connection.close()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._end_relay()

    def on_finish(self) -> None:
        super().on_finish()
        self._end_relay()

    def _end_relay(self) -> None:
        # Cancelling closes the exchange, which is how the engine learns that nobody waits any more.
        if self._relaying is not None and not self._relaying.done():
            self._relaying.cancel()

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Like tornado's, but without the query: a token in it must not get into the log."""
        where = f"{self.request.method} {self.request.path}"
        if isinstance(value, web.HTTPError):
            self.log.warning("%d %s: %s", value.status_code, where, value.get_message() or value.reason)
        else:
            self.log.error("Uncaught exception %s", where, exc_info=value)

    # `prepare` has authenticated and authorised already. The decorator is the second bolt on each door, and what
    # Jupyter's own audit of handlers looks for.

    @web.authenticated
    async def get(self) -> None:
        await self._answer()

    @web.authenticated
    async def head(self) -> None:
        await self._answer()

    @web.authenticated
    async def post(self) -> None:
        await self._answer()

    @web.authenticated
    async def put(self) -> None:
        await self._answer()

    @web.authenticated
    async def patch(self) -> None:
        await self._answer()

    @web.authenticated
    async def delete(self) -> None:
        await self._answer()

    @web.authenticated
    async def options(self) -> None:  # type: ignore[override]
        await self._answer()
