"""Calls of one request and one response that are not inferences."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from typing import Any

from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.transports.grpc import methods
from jupyter_pyserve.transports.grpc.call import Call, Piece, Status
from jupyter_pyserve.v2.status import GRPC_STATUS

_log = logging.getLogger(__name__)


class Unary:
    """Serves one call of a method."""

    __slots__ = ("_asked", "_call", "_function", "_request", "_service", "_task")

    def __init__(self, service: Service, call: Call, request: str, function: methods.Function) -> None:
        self._service = service
        self._call = call
        self._request = request
        self._function = function
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    def message(self, data: Piece) -> None:
        """The request."""
        if self._asked:
            return
        self._asked = True
        messages = service_messages()
        try:
            request = getattr(messages, self._request).FromString(bytes(data)) if self._request else None
            found = self._function(self._service, request, messages)
        except PyServeError as error:
            self._call.fail(GRPC_STATUS[error.code], error.message)
        except Exception:  # noqa: BLE001 - the top of a transport
            self._break()
        else:
            if inspect.isawaitable(found):
                self._task = asyncio.ensure_future(self._later(found))
            else:
                self._answer(found)

    def end(self) -> None:
        """The client has nothing more to say."""
        if not self._asked:
            self._call.fail(Status.INTERNAL, "the call has no request")

    def cancel(self) -> None:
        """Nobody waits."""
        if self._task is not None:
            self._task.cancel()

    async def _later(self, found: Awaitable[Any]) -> None:
        try:
            self._answer(await found)
        except PyServeError as error:
            self._call.fail(GRPC_STATUS[error.code], error.message)
        except Exception:  # noqa: BLE001 - the top of a transport
            self._break()

    def _answer(self, response: Any) -> None:
        self._call.send([response if isinstance(response, bytes) else response.SerializeToString()], status=0)

    def _break(self) -> None:
        _log.exception("a call of %s failed", self._call.head.path)
        self._call.fail(Status.INTERNAL, "internal error")
