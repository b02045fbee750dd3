"""Which headers cross the proxy, and how a request's head is written for the engine.

Pure. A header that authenticates a user against Jupyter never reaches the engine, and one that Jupyter sets for its
own safety is never replaced by the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Header = tuple[str, str]

# RFC 9110, section 7.6.1, and the older names that proxies still meet.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_FORWARDED: Final = _HOP_BY_HOP | {
    "authorization",
    "cookie",
    "x-xsrftoken",
    # May carry a token in its query.
    "referer",
    # Jupyter has already judged it; the engine would see a foreign host.
    "origin",
    "host",
    # Jupyter's HTTP server answers 100 itself.
    "expect",
    # Written anew from the framing that was understood.
    "content-length",
}
_NOT_RETURNED: Final = _HOP_BY_HOP | {
    "server",
    "date",
    "set-cookie",
    "content-security-policy",
    "x-content-type-options",
}


#: No body is longer than that, and no text that Python would not read.
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class FramingError(ValueError):
    """The length of a request's body is not what one can agree on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a request's body is delimited: `length` bytes, or chunks when that is None."""

    length: int | None

    @property
    def header(self) -> Header:
        if self.length is None:
            return ("Transfer-Encoding", "chunked")
        return ("Content-Length", str(self.length))


def framing(headers: Iterable[Header]) -> Framing:
    """The framing of a request; whatever two servers could read differently is refused."""
    lengths: set[str] = set()
    codings: list[str] = []
    for name, value in headers:
        if name.lower() == "content-length":
            lengths.update(part.strip() for part in value.split(","))
        elif name.lower() == "transfer-encoding":
            codings.append(value.strip().lower())
    if codings:
        if lengths or codings != ["chunked"]:
            raise FramingError("Transfer-Encoding must be chunked and the only framing")
        return Framing(length=None)
    if not lengths:
        return Framing(length=0)
    text = lengths.pop()
    if lengths or _LENGTH.fullmatch(text) is None:
        raise FramingError("Content-Length must be one decimal number")
    return Framing(length=int(text))


def request_headers(headers: Iterable[Header]) -> list[Header]:
    """The headers of a client's request that the engine gets to see."""
    return _filtered(headers, _NOT_FORWARDED)


def response_headers(headers: Iterable[Header]) -> list[Header]:
    """The headers of the engine's response that the client gets to see."""
    return [
        (name, value)
        for name, value in _filtered(headers, _NOT_RETURNED)
        if not name.lower().startswith("access-control-")
    ]


def request_head(method: str, target: str, headers: Iterable[Header], body: Framing) -> bytes:
    """The request line and headers as they go to the engine; one connection carries one request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    if body.length != 0 or method not in {"GET", "HEAD", "OPTIONS"}:
        lines.append(": ".join(body.header))
    lines.extend(f"{name}: {value}" for name, value in headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _filtered(headers: Iterable[Header], dropped: frozenset[str]) -> list[Header]:
    items = list(headers)
    named = {
        token.strip().lower() for name, value in items if name.lower() == "connection" for token in value.split(",")
    }
    return [(name, value) for name, value in items if name.lower() not in dropped and name.lower() not in named]
