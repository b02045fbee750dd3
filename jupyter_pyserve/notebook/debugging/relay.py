"""Between the kernel's debugger and a model's process: passes messages on, and answers when the process is gone.

The kernel's debugger waits for an answer to each request, for ever if need be, and its control channel with it. Owns
the port that the kernel connects to, in a thread of its own.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from collections.abc import Iterator
from typing import Any

HOST = "127.0.0.1"
_CONNECT_TIMEOUT_S = 5.0
_HEAD = b"Content-Length: "

Message = dict[str, Any]


class Frames:
    """Whole messages of a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[Message, bytes]]:
        """The messages that are complete now, each also as the bytes that it came in."""
        self._rest += data
        while True:
            head, found, rest = self._rest.partition(b"\r\n\r\n")
            if not found:
                return
            (length,) = [int(line[len(_HEAD) :]) for line in head.split(b"\r\n") if line.startswith(_HEAD)]
            if len(rest) < length:
                return
            raw, self._rest = self._rest[: len(head) + 4 + length], rest[length:]
            yield json.loads(rest[:length]), raw


def encode(message: Message) -> bytes:
    """A message as the bytes that it travels in."""
    data = json.dumps(message).encode()
    return b"%b%d\r\n\r\n%b" % (_HEAD, len(data), data)


class Relay:
    """Listens for the kernel's debugger; `port` is where. One at a time."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, name="pyserve-debug-relay", daemon=True).start()

    def close(self) -> None:
        """Take no further debugger."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError, ValueError):
                _Session(client, self._connected()).run()

    def _connected(self) -> socket.socket | None:
        try:
            sock = socket.create_connection((HOST, self.upstream_port), timeout=_CONNECT_TIMEOUT_S)
        except OSError:
            return None
        sock.settimeout(None)
        return sock


class _Session:
    """One debugger, from its connection to its end."""

    def __init__(self, client: socket.socket, upstream: socket.socket | None) -> None:
        self._client = client
        self._upstream = upstream
        self._asked = Frames()
        self._answered = Frames()
        #: The commands that are not answered yet, by number.
        self._pending: dict[int, str] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Until the debugger has gone."""
        with self._selector:
            self._selector.register(self._client, selectors.EVENT_READ)
            if self._upstream is not None:
                self._selector.register(self._upstream, selectors.EVENT_READ)
            try:
                while all(self._readable(key.fileobj) for key, _ in self._selector.select()):
                    pass
            finally:
                if self._upstream is not None:
                    self._upstream.close()

    def _readable(self, sock: Any) -> bool:
        if sock is self._client:
            data = self._client.recv(1 << 16)
            for message, raw in self._asked.feed(data):
                self._ask(message, raw)
            return bool(data)
        if sock is self._upstream and self._upstream is not None:
            data = _received(self._upstream)
            for message, raw in self._answered.feed(data):
                self._pending.pop(message.get("request_seq", 0), None)
                self._client.sendall(raw)
            if not data:
                self._lost()
        return True

    def _ask(self, message: Message, raw: bytes) -> None:
        self._pending[message["seq"]] = message["command"]
        if self._upstream is not None:
            with contextlib.suppress(OSError):  # its end is read, too
                self._upstream.sendall(raw)
        else:
            self._refuse()

    def _lost(self) -> None:
        """The process has ended: nothing is stopped there any more."""
        assert self._upstream is not None
        self._selector.unregister(self._upstream)
        self._upstream.close()
        self._upstream = None
        self._tell("event", event="continued", body={"threadId": 0, "allThreadsContinued": True})
        self._refuse()

    def _refuse(self) -> None:
        for seq, command in list(self._pending.items()):
            if command == "attach":
                self._tell("event", event="initialized")
            message = "the model's process has ended: turn the debugger off, and run %pyserve debug again"
            ends = command == "disconnect"
            self._tell("response", request_seq=seq, command=command, success=ends, message=message, body={})
        self._pending.clear()

    def _tell(self, kind: str, **members: Any) -> None:
        self._client.sendall(encode({"seq": 0, "type": kind, **members}))


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 16)
    except OSError:
        return b""
