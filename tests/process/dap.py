"""A debugger's side of the Debug Adapter Protocol: as much of it as VS Code needs to stop somewhere and look."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.process.client import connect

Message = dict[str, Any]


class Debugger:
    """One attached debugger; leaving the block detaches it."""

    def __init__(self, port: int) -> None:
        self._sock: socket.socket = connect(("127.0.0.1", port))
        self._file = self._sock.makefile("rb")
        self._seq = 0
        self._read: list[Message] = []

    def __enter__(self) -> Debugger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._sock.close()

    def attach(self, breakpoints: dict[str | Path, list[int]]) -> None:
        """Begin, with breakpoints in lines of files."""
        self.ask("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
        attached = self._send("attach", justMyCode=True)
        self.event("initialized")
        for path, lines in breakpoints.items():
            body = self.ask(
                "setBreakpoints", source={"path": str(path)}, breakpoints=[{"line": line} for line in lines]
            )
            assert [(item["verified"], item["line"]) for item in body["breakpoints"]] == [
                (True, item) for item in lines
            ]
        self.ask("configurationDone")
        self._response(attached)

    def stopped(self) -> Message:
        """Wait until a thread has stopped; its innermost frame, and what it stopped for."""
        event = self.event("stopped")
        frame: Message = self.ask("stackTrace", threadId=event["threadId"])["stackFrames"][0]
        return {**frame, **event}

    def value(self, frame: Message, expression: str) -> str:
        """What an expression comes to there."""
        result: str = self.ask("evaluate", expression=expression, frameId=frame["id"])["result"]
        return result

    def go_on(self, frame: Message) -> None:
        """Let the thread go on."""
        self.ask("continue", threadId=frame["threadId"])

    def detach(self) -> None:
        """End, and let the process live."""
        self.ask("disconnect", terminateDebuggee=False)

    def ask(self, command: str, **arguments: Any) -> Message:
        """A request, and the body of its answer."""
        return self._response(self._send(command, **arguments))

    def event(self, name: str) -> Message:
        """The body of the next event of that name."""
        body: Message = self._next(lambda item: item["type"] == "event" and item["event"] == name).get("body", {})
        return body

    def _send(self, command: str, **arguments: Any) -> int:
        self._seq += 1
        message = {"seq": self._seq, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(message).encode()
        self._sock.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        return self._seq

    def _response(self, seq: int) -> Message:
        answer = self._next(lambda item: item["type"] == "response" and item["request_seq"] == seq)
        assert answer["success"], answer
        body: Message = answer.get("body", {})
        return body

    def _next(self, wanted: Callable[[Message], bool]) -> Message:
        for index, message in enumerate(self._read):
            if wanted(message):
                return self._read.pop(index)
        while not wanted(message := self._receive()):
            self._read.append(message)
        return message

    def _receive(self) -> Message:
        nbytes = 0
        while (line := self._file.readline()).strip():
            if line.startswith(b"Content-Length:"):
                nbytes = int(line.partition(b":")[2])
        assert nbytes, "the debugger's connection ended"
        message: Message = json.loads(self._file.read(nbytes))
        return message
