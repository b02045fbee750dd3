"""A small HTTP client for tests: over TCP or a Unix socket, one connection a request, and raw bytes when asked."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jupyter_pyserve.v2.client import decode_infer_response, encode_infer_request

Array = np.ndarray[Any, np.dtype[Any]]
Address = str | tuple[str, int]

TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an error, which every failed request has."""
        assert self.status >= 400, self
        text = self.json()["error"]
        assert isinstance(text, str)
        return text


def connect(address: Address) -> socket.socket:
    """A connected socket with a deadline."""
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    sock.settimeout(TIMEOUT_S)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        self.sock = connect(self._address)


class Client:
    """Talks to one listener."""

    def __init__(self, address: Address, token: str = "") -> None:
        self.address = address
        self._headers = {"Authorization": f"token {token}"} if token else {}

    def send(self, method: str, path: str, body: Any = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = _Connection(self.address)
        try:
            connection.request(method, path, payload, {**self._headers, **(headers or {})})
            return _read(connection)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, body: Any = b"") -> Answer:
        return self.send("POST", path, body)

    def infer(self, model: str, inputs: Mapping[str, Array], **options: Any) -> Answer:
        """An inference with binary tensors both ways."""
        header, blobs = encode_infer_request(inputs, **options)
        headers = {"Inference-Header-Content-Length": str(len(header))}
        return self.send("POST", f"/v2/models/{model}/infer", b"".join([header, *blobs]), headers)

    def infer_bytes(self, model: str, inputs: Mapping[str, Array], **options: Any) -> bytes:
        """The same request as the bytes that go over the connection."""
        header, blobs = encode_infer_request(inputs, **options)
        body = b"".join([header, *blobs])
        return self.head(model, len(body), f"Inference-Header-Content-Length: {len(header)}") + body

    def head(self, model: str, nbytes: int, *lines: str) -> bytes:
        """The head of an inference request."""
        given = [f"{name}: {value}" for name, value in self._headers.items()]
        first = (f"POST /v2/models/{model}/infer HTTP/1.1", "Host: localhost", f"Content-Length: {nbytes}")
        return "\r\n".join([*first, *given, *lines, "", ""]).encode()


def _read(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    return Answer(
        status=response.status, reason=response.reason, headers=dict(response.getheaders()), body=response.read()
    )


def read_answer(sock: socket.socket) -> Answer:
    """The next answer on a connection that was used with raw bytes."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return Answer(
        status=response.status, reason=response.reason, headers=dict(response.getheaders()), body=response.read()
    )


def outputs(answer: Answer) -> dict[str, Array]:
    """The tensors of a successful inference."""
    assert answer.status == 200, answer
    length = answer.headers.get("Inference-Header-Content-Length")
    return decode_infer_response(memoryview(answer.body), int(length) if length is not None else None)


def command(do: str, data: Sequence[float] | Array | None = None, **arguments: Any) -> dict[str, Array]:
    """The inputs that make a puppet do something."""
    text = json.dumps({"do": do, **arguments}).encode()
    # The array first: it is aligned there, so that the model gets the memory itself.
    inputs: dict[str, Array] = {} if data is None else {"DATA": np.asarray(data, np.float32)}
    return {**inputs, "COMMAND": np.array([text], object)}


def said(answer: Answer) -> Any:
    """What a puppet answered."""
    return json.loads(outputs(answer)["ANSWER"][0])
