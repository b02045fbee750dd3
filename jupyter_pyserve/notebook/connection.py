"""HTTP to the engine, over its Unix socket or through the Jupyter server: one kept-alive connection per thread.

Owns connections, deadlines and the reading of error replies; knows nothing of models, tensors or displays.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import Address

_CODES = {
    400: Code.INVALID_ARG,
    404: Code.NOT_FOUND,
    409: Code.ALREADY_EXISTS,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNSUPPORTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}
Body = Sequence["bytes | memoryview"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer; `body` is writable memory of its own, so arrays may be made over it."""

    status: int
    headers: http.client.HTTPMessage
    body: memoryview

    def checked(self) -> Reply:
        """This reply, or the error it tells of."""
        if self.status >= 400:
            raise error_of(self.status, bytes(self.body))
        return self


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=None)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class LineStream:
    """The lines of one streamed answer, on a connection of its own that `close` may break from another thread."""

    def __init__(
        self, connection: http.client.HTTPConnection, sock: socket.socket, response: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._socket = sock
        self._response = response
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        self._is_read = True
        try:
            while line := self._response.readline():
                if line.strip():
                    yield line
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise PyServeError(Code.UNAVAILABLE, f"the engine stopped answering: {error}") from error
        finally:
            self._connection.close()

    def close(self) -> None:
        """Wake whoever reads, and let the engine see that nobody listens any more."""
        with contextlib.suppress(OSError):  # closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        if not self._is_read:  # else the reader closes: not under its hands
            self._connection.close()


class _Kept:
    """A thread's connection: closed when the thread, and with it this, goes."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class _ThreadLocal(threading.local):
    kept: _Kept | None = None


class Connection:
    """The way to one engine; used by any number of threads at once."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._local = _ThreadLocal()
        socket_path = address.http_socket
        self._socket_path = None if socket_path is None else str(socket_path)
        self._url = urlsplit(address.url or "")
        self._prefix = "" if self._socket_path is not None else self._url.path.rstrip("/")

    def request(
        self,
        method: str,
        path: str,
        body: Body = (),
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Reply:
        """One exchange. Anything that leaves the connection in doubt, an interrupt included, closes it."""
        connection = self._reusable()
        try:
            self._set_timeout(connection, timeout_s)
            response = self._send(connection, method, path, body, headers)
            return Reply(status=response.status, headers=response.headers, body=_read(response))
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise self._unreachable(error) from error
        except BaseException:
            self._drop()
            raise

    def json(self, method: str, path: str, payload: object = None, *, timeout_s: float | None = 60.0) -> Any:
        """One exchange of JSON; an empty answer is an empty object."""
        body, headers = _json_body(payload)
        reply = self.request(method, path, body, headers, timeout_s=timeout_s).checked()
        return json.loads(bytes(reply.body)) if reply.body.nbytes else {}

    def stream(self, method: str, path: str, payload: object = None) -> LineStream:
        """An answer that comes line by line, on a connection of its own."""
        connection = self._open()
        body, headers = _json_body(payload)
        try:
            connection.connect()
            sock: socket.socket = connection.sock  # the connection forgets it once the answer says `Connection: close`
            response = self._send(connection, method, path, body, headers)
            if response.status >= 400:
                raise error_of(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error
        except BaseException:
            connection.close()
            raise
        return LineStream(connection, sock, response)

    def close(self) -> None:
        """Close this thread's connection; others close with their threads."""
        self._drop()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str] | None,
    ) -> http.client.HTTPResponse:
        sent = dict(headers or {})
        if method != "GET":
            sent["Content-Length"] = str(sum(memoryview(part).nbytes for part in body))
        if self.address.token:
            sent["Authorization"] = f"token {self.address.token}"
        connection.request(method, self._prefix + path, body=list(body) if body else None, headers=sent)
        return connection.getresponse()

    def _reusable(self) -> http.client.HTTPConnection:
        kept = self._local.kept
        if kept is not None and kept.connection.sock is not None and not _was_closed(kept.connection.sock):
            return kept.connection
        self._drop()
        self._local.kept = kept = _Kept(self._open())
        return kept.connection

    def _open(self) -> http.client.HTTPConnection:
        if self._socket_path is not None:
            return _UnixConnection(self._socket_path)
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "localhost", self._url.port, timeout=None)

    def _set_timeout(self, connection: http.client.HTTPConnection, timeout_s: float | None) -> None:
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)

    def _drop(self) -> None:
        if self._local.kept is not None:
            self._local.kept.connection.close()
            self._local.kept = None

    def _unreachable(self, error: Exception) -> PyServeError:
        reason = str(error) or type(error).__name__
        return PyServeError(Code.UNAVAILABLE, f"the engine at {self.address} does not answer: {reason}")


def error_of(status: int, body: bytes) -> PyServeError:
    """The error that a reply tells of: the engine's `error`, or the Jupyter server's `message`."""
    message = body.decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError):
        parsed = json.loads(message)
        if isinstance(parsed, dict):
            message = str(parsed.get("error") or parsed.get("message") or message)
    if status in (401, 403):
        message = f"{message or 'refused'} (HTTP {status}: is the token in PYSERVE_TOKEN the server's?)"
    return PyServeError(_CODES.get(status, Code.UNKNOWN), message or f"HTTP status {status}")


def _json_body(payload: object) -> tuple[Body, dict[str, str]]:
    if payload is None:
        return (), {}
    return (json.dumps(payload).encode(),), {"Content-Type": "application/json"}


def _read(response: http.client.HTTPResponse) -> memoryview:
    if response.length is None:  # chunked, or until the end of the stream
        return memoryview(bytearray(response.read()))
    body = memoryview(bytearray(response.length))
    filled = 0
    while filled < body.nbytes:
        count = response.readinto(body[filled:])
        if count == 0:
            raise http.client.IncompleteRead(b"", body.nbytes - filled)
        filled += count
    response.close()
    return body


def _was_closed(sock: socket.socket) -> bool:
    """Whether an idle connection has something to read: its end, or bytes nobody asked for. Never retry: look first."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
