"""The protocol spoken by hand over a TCP or a Unix socket, with the encoding that the notebook's client uses."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jupyter_pyserve.v2.client import decode_infer_response, encode_infer_request
from tests.support.transport import Array, Json, Refused, Request

TIMEOUT_S = 60.0

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response; header names in lower case."""

    status: int
    reason: str
    headers: Headers
    body: bytes

    def json(self) -> Json:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Each request on a connection of its own, below `prefix` and with `headers`."""

    connect: Callable[[], socket.socket]
    prefix: str = ""
    headers: Headers

    def send(self, method: str, path: str, body: bytes = b"", headers: Headers | None = None) -> Answer:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = self.connect()
        connection.sock.settimeout(TIMEOUT_S)
        try:
            given = {**self.headers, **(headers or {})}
            connection.request(method, self.prefix + path, body=body or None, headers=given)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.reason, fields, response.read())
        finally:
            connection.close()

    def post_json(self, path: str, body: Json) -> Answer:
        return self.send("POST", path, json.dumps(body).encode())

    def infer(self, request: Request) -> dict[str, Array]:
        header, blobs = encode_infer_request(
            request.inputs, outputs=request.outputs, id=request.id, parameters=dict(request.parameters)
        )
        length = {"Inference-Header-Content-Length": str(len(header))}
        path = f"{_path(request.model, request.version)}/infer"
        answer = _accepted(self.send("POST", path, b"".join([header, *blobs]), length))
        json_nbytes = answer.headers.get("inference-header-content-length")
        return decode_infer_response(memoryview(answer.body), int(json_nbytes) if json_nbytes else None)

    def infer_together(self, requests: Sequence[Request]) -> list[dict[str, Array]]:
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(self.infer, requests))

    def is_live(self) -> bool:
        return self.send("GET", "/v2/health/live").status == 200

    def is_ready(self) -> bool:
        return self.send("GET", "/v2/health/ready").status == 200

    def is_model_ready(self, model: str, version: str = "") -> bool:
        return self.send("GET", f"{_path(model, version)}/ready").status == 200

    def server_metadata(self) -> Json:
        return self._get("/v2")

    def metadata(self, model: str, version: str = "") -> Json:
        return self._get(_path(model, version))

    def config(self, model: str, version: str = "") -> Json:
        return self._get(f"{_path(model, version)}/config")

    def statistics(self, model: str = "", version: str = "") -> Json:
        return self._get(f"{_path(model, version) if model else '/v2/models'}/stats")["model_stats"]

    def index(self) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = _accepted(self.send("POST", "/v2/repository/index")).json()
        return rows

    def load(self, model: str, *, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        parameters = {f"file:{path}": base64.b64encode(content).decode() for path, content in (files or {}).items()}
        if config is not None:
            parameters["config"] = config
        body = json.dumps({"parameters": parameters}).encode() if parameters else b""
        _accepted(self.send("POST", f"/v2/repository/models/{model}/load", body))

    def unload(self, model: str) -> None:
        _accepted(self.send("POST", f"/v2/repository/models/{model}/unload"))

    def _get(self, path: str) -> Json:
        return _accepted(self.send("GET", path)).json()


def _path(model: str, version: str) -> str:
    return f"/v2/models/{model}/versions/{version}" if version else f"/v2/models/{model}"


def _accepted(answer: Answer) -> Answer:
    if answer.status != 200:
        raise Refused(answer.status, answer.json()["error"])
    return answer


def over_tcp(address: tuple[str, int], *, prefix: str = "", headers: Headers | None = None) -> Plain:
    return Plain(connect=lambda: socket.create_connection(address), prefix=prefix, headers=headers or {})


def over_unix(path: str) -> Plain:
    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        return sock

    return Plain(connect=connect, headers={})
