"""A plain HTTP client for tests: what goes out is what was written, and what comes back is shown as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A complete response."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(kw_only=True)
class Client:
    """Requests to one server, each on a connection of its own."""

    port: int
    base_url: str
    token: str
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(
        self, method: str, path: str, headers: Iterable[tuple[str, str]] = (), *, token: str | None = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Sends a request's head; `token` None sends none, an empty one is the right one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {self.base_url.rstrip('/')}{path} HTTP/1.1", "Connection: close"]
        given = dict(headers)
        if "Host" not in given:
            lines.append(f"Host: 127.0.0.1:{self.port}")
        if token is not None:
            lines.append(f"Authorization: token {token or self.token}")
        lines.extend(f"{name}: {value}" for name, value in given.items())
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await writer.drain()
        return reader, writer

    async def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        body: bytes | None = None,
        token: str | None = "",
    ) -> Answer:
        """One whole exchange."""
        framed = [("Content-Length", str(len(body)))] if body is not None else []
        reader, writer = await self.open(method, path, [*headers, *framed], token=token)
        writer.write(body or b"")
        try:
            head = await read_head(reader)
            rest = b"" if method == "HEAD" else b"".join([piece async for piece in read_body(reader, head)])
            return Answer(status=head.status, reason=head.reason, headers=head.headers, body=rest)
        finally:
            writer.close()


async def read_head(reader: asyncio.StreamReader) -> Answer:
    """The status line and headers, as an answer without a body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    _, status, reason = first.split(" ", 2)
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Answer(status=int(status), reason=reason, headers=headers, body=b"")


async def read_body(reader: asyncio.StreamReader, head: Answer) -> AsyncIterable[bytes]:
    """The pieces of the body; raises IncompleteReadError when it ends before it is complete."""
    if head.all("Transfer-Encoding") == ["chunked"]:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        return
    left = int(head.all("Content-Length")[0])
    while left:
        piece = await reader.read(min(left, 65536))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        yield piece
