"""Request heads: what a head says, parsed by httptools and remembered by its bytes, since clients repeat them.

Pure: bytes in, a frozen value out. The grammar of HTTP/1.1 is httptools'; what a path means is `v2.routes`'.
"""

from __future__ import annotations

import dataclasses
import enum
import hmac
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httptools

from jupyter_pyserve.engine.listening import holds_token
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.settings import Restrictions
from jupyter_pyserve.v2.compression import Encoding, request_encoding, response_encoding
from jupyter_pyserve.v2.forwarding import HeaderPattern, Headers
from jupyter_pyserve.v2.infer import inference_header_length
from jupyter_pyserve.v2.restrictions import category_of_path
from jupyter_pyserve.v2.routes import Endpoint, Route, RouteError, match

JSON = b"application/json"
TEXT = b"text/plain"

_LIMIT = 1024
_LARGEST = 4096

#: A method that the parser knows and no route has: it stands in for methods that nobody knows.
_NO_METHOD = b"PATCH"
_UNKNOWN_METHOD = re.compile(rb"\A(?!(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE) )[A-Z]{1,20}(?= /)")
_ORIGIN_FORM = re.compile(rb"(?:https?://[^/]*)?(/[^?]*|\*)")
_TEXT_PATHS = re.compile(rb".*/(?:live|ready|infer|metrics/?)")


class Access(enum.Enum):
    """Whether the sender may do what it asks."""

    GRANTED = "granted"
    NO_TOKEN = "no token"  # noqa: S105
    FOREIGN_ORIGIN = "foreign_origin"
    FOREIGN_HOST = "foreign_host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request head. `control` is the path below `/api` on listeners that have it, else None."""

    #: As it came.
    data: bytes
    method: bytes
    target: bytes
    route: Route | RouteError
    control: str | None
    access: Access
    content_length: int
    chunked: bool
    keep_alive: bool
    #: The header line that the answer must have because of this, or nothing.
    connection: bytes
    #: Content type of an answer that says that there is no such route or method.
    error_type: bytes
    expects_continue: bool
    inference_header: bytes | None
    #: Length of the JSON part of the body, as `inference_header_length` has it, or what is wrong with it.
    header_nbytes: int | None
    header_problem: PyServeError | None
    #: Of the body; None is one that nobody here reads.
    content_encoding: Encoding | None
    #: What the answer to an inference is best encoded in.
    accepted_encoding: Encoding
    #: Headers that become parameters of an inference.
    forwarded: Headers
    #: The trace of the client's that the request belongs to, by the names of its headers.
    trace_context: Mapping[str, str] | None
    #: The header that the sender lacks, if only who has it may use this path.
    lacks: str
    #: The route, if this is an inference whose body has a length and goes as it is: what nearly every request is.
    direct: Route | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Who may use a listener: holders of the token if there is one; `trusted` is a Unix socket of the same user."""

    token: str = ""
    trusted: bool = False
    loopback: bool = False

    def check(self, headers: dict[bytes, bytes]) -> Access:
        """Tokens are compared in constant time; pages of other sites are kept out where no token does that."""
        if self.trusted:
            return Access.GRANTED
        if self.token:
            granted = holds_token(headers.get(b"authorization", b""), self.token)
            return Access.GRANTED if granted else Access.NO_TOKEN
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return Access.FOREIGN_ORIGIN
        if self.loopback and host and not _is_local(host):
            return Access.FOREIGN_HOST  # a name that resolves to us but is not ours: DNS rebinding
        return Access.GRANTED


def _is_local(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    if name in ("localhost", "") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _Collector:
    """Callbacks of httptools."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_chunked_length=True)  # `_head` sees to what that lets through
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.lines: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.keep_alive = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name, value.lstrip()))  # what stands behind a value is part of it, on Triton
        name, value = name.lower(), value.strip()
        if name == b"transfer-encoding" and name in self.headers:
            value = self.headers.pop(name) + b", " + value  # one list, and its last coding says where the body ends
        self.headers.setdefault(name, value)

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # forgotten by the parser once the message is complete


class HeadError(ValueError):
    """Not a request head."""


#: Which routes a listener has.
Match = Callable[[bytes, bytes], "Route | RouteError"]


class HeadParser:
    """Parses the heads of one listener."""

    def __init__(
        self,
        gate: Gate,
        match: Match = match,
        *,
        forwarding: HeaderPattern | None = None,
        restrictions: Restrictions | None = None,
    ) -> None:
        self._gate = gate
        self._match = match
        self._forwarding = forwarding
        self._restrictions = restrictions or {}
        self._known: dict[bytes, Head] = {}

    def parse(self, data: bytes) -> Head:
        """The head in `data`, which ends with its blank line; raises `HeadError`."""
        head = self._known.get(data)
        if head is None:
            head = self._parse(data)
            if len(data) <= _LARGEST:
                if len(self._known) >= _LIMIT:
                    self._known.clear()
                self._known[data] = head
        return head

    def _parse(self, data: bytes) -> Head:
        collector = _Collector()
        parser = collector.parser
        try:
            parser.feed_data(_UNKNOWN_METHOD.sub(_NO_METHOD, data, count=1))
        except httptools.HttpParserUpgrade:
            collector.keep_alive = False
        except httptools.HttpParserError as error:
            raise HeadError(str(error)) from error
        if not collector.complete:
            raise HeadError("the head is not complete")
        return self._head(data, parser.get_method(), parser.get_http_version() == "1.0", collector)

    def _head(self, data: bytes, method: bytes, old: bool, collector: _Collector) -> Head:
        headers = collector.headers
        found = _ORIGIN_FORM.match(collector.target)
        path = found.group(1) if found is not None else collector.target
        control = path[5:].decode("utf-8", "replace") if self._gate.trusted and path.startswith(b"/api/") else None
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18:
            raise HeadError("Content-Length is not a number")
        route = self._match(method, path)
        if b"accept" in headers and isinstance(route, Route):
            route = dataclasses.replace(route, in_words=True)
        chunked = _is_chunked(headers.get(b"transfer-encoding"))
        if chunked and b"content-length" in headers:
            length, collector.keep_alive = b"0", False  # a proxy before us may have read another body
        header_nbytes, problem = _header_length(headers.get(b"inference-header-content-length"), int(length))
        connection = b"" if collector.keep_alive else b"Connection: close\r\n"
        if old and collector.keep_alive:
            connection = b"Connection: keep-alive\r\n"
        access = self._gate.check(headers)
        expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        lacks = self._lacking(path, headers) if self._restrictions else ""
        unusual = access is not Access.GRANTED or lacks or chunked or expects_continue
        return Head(
            data=data,
            method=method,
            target=collector.target,
            route=route,
            control=control,
            access=access,
            content_length=int(length),
            chunked=chunked,
            keep_alive=collector.keep_alive,
            connection=connection,
            error_type=TEXT if route is RouteError.NOT_FOUND or _TEXT_PATHS.fullmatch(path) else JSON,
            expects_continue=expects_continue,
            inference_header=headers.get(b"inference-header-content-length"),
            header_nbytes=header_nbytes,
            header_problem=problem,
            content_encoding=request_encoding(headers.get(b"content-encoding")),
            accepted_encoding=response_encoding(headers.get(b"accept-encoding")),
            forwarded=self._forwarding.choose(_texts(collector.lines)) if self._forwarding is not None else (),
            trace_context=_trace_context(headers),
            lacks=lacks,
            direct=route if not unusual and isinstance(route, Route) and route.endpoint is Endpoint.INFER else None,
        )

    def _lacking(self, path: bytes, headers: dict[bytes, bytes]) -> str:
        category = category_of_path(path)
        key = self._restrictions.get(category) if category is not None else None
        if key is None or hmac.compare_digest(headers.get(key.header.lower().encode(), b""), key.value.encode()):
            return ""
        return key.header


def _is_chunked(codings: bytes | None) -> bool:
    if codings is None:
        return False
    *others, last = [coding.strip().lower() for coding in codings.split(b",")]
    if last != b"chunked" or last in others:
        raise HeadError("nothing says where the body ends")
    return True


def _trace_context(headers: Mapping[bytes, bytes]) -> Mapping[str, str] | None:
    if b"traceparent" not in headers:
        return None
    return {name: headers.get(name.encode(), b"").decode("latin-1") for name in ("traceparent", "tracestate")}


def _texts(lines: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in lines]


def _header_length(value: bytes | None, nbytes: int) -> tuple[int | None, PyServeError | None]:
    try:
        return (inference_header_length(value, nbytes) if nbytes else 0), None
    except PyServeError as error:
        return None, error
