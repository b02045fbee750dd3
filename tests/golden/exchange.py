"""One HTTP/1.1 exchange over a plain socket, byte for byte. It must not help: no header of its own, no retries."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, cast

Answer = dict[str, Any]
"""What is kept: `status`, `reason`, `headers`, and `body` (or `json` and `binary`); or `closed`, `timeout`, `gone`."""

CLOSED: Answer = {"closed": True}
TIMEOUT: Answer = {"timeout": True}
GONE: Answer = {"gone": "the server"}


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A status line, headers with lower-case names in the order received, and the body without its transfer coding."""

    version: str
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def exchange(
    address: tuple[str, int], request: bytes, *, answers: int = 1, then: bytes = b"", timeout_s: float = 20.0
) -> list[Answer]:
    """Sends the bytes on a new connection and reads that many answers, interim ones (100 Continue) included.

    `then` is sent after them on the same connection, for one answer more.
    """
    try:
        connection = socket.create_connection(address, timeout=timeout_s)
    except ConnectionRefusedError:
        return [GONE]
    with connection:
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            read = _read_answers(stream, answers)
            if then and not _is_over(read):
                connection.sendall(then)
                read += _read_answers(stream, 1)
            return read


def _read_answers(stream: BufferedReader, count: int) -> list[Answer]:
    """Stops at the first end of file or time-out: nothing can follow those."""
    answers: list[Answer] = []
    while len(answers) < count and not _is_over(answers):
        answers.append(_read_described(stream))
    return answers


def _is_over(answers: list[Answer]) -> bool:
    return bool(answers) and answers[-1] in (CLOSED, TIMEOUT)


def _read_described(stream: BufferedReader) -> Answer:
    try:
        raw = _read(stream)
    except TimeoutError:
        return TIMEOUT
    except ConnectionResetError:
        return CLOSED
    return CLOSED if raw is None else describe(raw)


def _read(stream: BufferedReader) -> RawAnswer | None:
    status_line = stream.readline().decode("latin-1")
    if not status_line:
        return None
    version, status, reason = status_line.rstrip("\r\n").split(" ", 2)
    headers: dict[str, str] = {}
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return RawAnswer(version, int(status), reason, headers, _read_body(stream, int(status), headers))


def _read_body(stream: BufferedReader, status: int, headers: Mapping[str, str]) -> bytes:
    if status < 200:
        return b""
    if headers.get("transfer-encoding") == "chunked":
        return b"".join(_chunks(stream))
    if "content-length" in headers:
        return stream.read(int(headers["content-length"]))
    return stream.read()


def _chunks(stream: BufferedReader) -> list[bytes]:
    chunks: list[bytes] = []
    while size := int(stream.readline(), 16):
        chunks.append(stream.read(size))
        stream.readline()
    stream.readline()
    return chunks


def describe(raw: RawAnswer) -> Answer:
    """A readable, JSON-friendly form; lengths that are right say only that they are."""
    headers = dict(raw.headers)
    answer: Answer = {"status": raw.status, "reason": raw.reason, "headers": headers}
    if raw.version != "HTTP/1.1":
        answer["version"] = raw.version
    if headers.get("content-length") == str(len(raw.body)):
        headers["content-length"] = "<right>"
    body = _expanded(raw.body, headers.get("content-encoding"))
    json_length = headers.get("inference-header-content-length")
    if json_length is not None:
        split = int(json_length)
        answer["json"] = body[:split].decode()
        answer["binary"] = body[split:].hex()
        headers["inference-header-content-length"] = "<right>" if _is_json(body[:split]) else json_length
    else:
        answer["body"] = body.decode("utf-8", "backslashreplace")
    return answer


def _expanded(body: bytes, encoding: str | None) -> bytes:
    """Compressed bytes may differ between versions of zlib."""
    wbits = {"gzip": 31, "deflate": 15}
    return zlib.decompress(body, wbits[encoding]) if encoding in wbits else body


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(cast(object, json.loads(data)), dict)
    except ValueError:
        return False
