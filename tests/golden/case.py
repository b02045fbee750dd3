"""What a case is, and short ways to write one. A case is a request and a name: no server, no expectation."""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Json = object
Headers = Mapping[str, str]


class Kept(enum.Enum):
    """How much of an HTTP answer is recorded."""

    ALL = enum.auto()
    #: Status and body.
    BODY = enum.auto()
    #: What the model said in its outputs; of a failure, status and body.
    OUTPUTS = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One HTTP exchange; `answers` is how many are read; `then` is sent on the same connection after them.

    `settled` waits, before the request, until no model is loading or unloading. `steady` asks again until the answer
    stays: statistics may follow what they count.
    """

    name: str
    request: bytes
    answers: int = 1
    then: bytes = b""
    settled: bool = False
    steady: bool = False
    kept: Kept = Kept.ALL
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """Inference over gRPC: requests, as protobuf's JSON form has them, on one stream or each on its own.

    A stream is closed from our side after the last request, so that the server ends it with the last response; it is
    cancelled after so many responses when `cancel_after` is not 0.
    """

    name: str
    requests: tuple[Mapping[str, Json], ...]
    stream: bool = True
    metadata: tuple[tuple[str, str], ...] = ()
    cancel_after: int = 0
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Any other call of gRPC: a method with its request as protobuf's JSON form has it, or a path with bytes."""

    name: str
    method: str
    request: Mapping[str, Json] = field(default_factory=dict)
    raw: bytes = b""
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """The lines of the metrics page that contain one of the words."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """The lines of the server's log that contain the word, from the level on."""

    name: str
    word: str


#: The `together` of scenarios that a Triton may not survive.
ALONE = "alone"

AnyCase = Case | Rpc | Call | Scrape | Logged

#: A model's files by their path in its directory.
Files = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Cases asked in order of one server, started with these options.

    `models` are directories under `tests/golden/models`, all of them unless some or `texts` are given; `texts` are
    models made of texts. Scenarios with the same `together` may be asked of one server, if nothing of it hangs.
    """

    name: str
    options: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    texts: Mapping[str, Files] = field(default_factory=dict)
    cases: tuple[AnyCase, ...]
    together: str = ""
    #: Whether answers depend on what was asked before: a server that was started again is asked that again, too.
    remembers: bool = False
    #: What it is about, for the count.
    section: str = ""


def http(method: str, path: str, body: bytes = b"", headers: Headers | None = None, *, version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost"]
    given = dict(headers or {})
    if body or method == "POST":
        given.setdefault("Content-Length", str(len(body)))
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def raw(name: str, request: bytes, *, answers: int = 1, then: bytes = b"") -> Case:
    return Case(name=name, request=request, answers=answers, then=then)


def get(name: str, path: str, *, settled: bool = False) -> Case:
    return Case(name=name, request=http("GET", path), settled=settled)


def statistics(name: str, model: str) -> Case:
    request = http("GET", f"/v2/models/{model}/stats")
    return Case(name=name, request=request, steady=True, kept=Kept.BODY)


def post(name: str, path: str, body: Json = b"", *, headers: Headers | None = None, settled: bool = False) -> Case:
    return Case(name=name, request=http("POST", path, encoded(body), headers), settled=settled)


def infer(name: str, model: str, body: Json, *, headers: Headers | None = None) -> Case:
    """An inference request; text and bytes go as they are, anything else as JSON."""
    return post(name, f"/v2/models/{model}/infer", body, headers=headers)


def binary(name: str, model: str, header: Json, *blobs: bytes, header_length: str | None = None) -> Case:
    """An inference request with the binary extension's header."""
    json_part = encoded(header)
    length = str(len(json_part)) if header_length is None else header_length
    body = json_part + b"".join(blobs)
    return infer(name, model, body, headers={"Inference-Header-Content-Length": length})


def tensor(name: str, datatype: str, shape: Sequence[int], data: Json = None, **parameters: Json) -> dict[str, Json]:
    value: dict[str, Json] = {"name": name, "datatype": datatype, "shape": list(shape)}
    if parameters:
        value["parameters"] = parameters
    if data is not None:
        value["data"] = data
    return value


def blob(name: str, datatype: str, shape: Sequence[int], nbytes: int) -> dict[str, Json]:
    return tensor(name, datatype, shape, binary_data_size=nbytes)


def strings(*items: bytes) -> bytes:
    """BYTES elements in wire form."""
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def encoded(body: Json) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, separators=(",", ":")).encode()
