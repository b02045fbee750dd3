"""Answers as values, and the bytes that they are on a connection."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.http.head import JSON, TEXT, Access
from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.compression import UnknownEncodingError
from jupyter_pyserve.v2.status import http_status, status_line

_log = logging.getLogger(__name__)

__all__ = ["JSON", "TEXT", "Reply", "Stream", "denied", "failure", "restricted"]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    #: Lines of further headers.
    headers: bytes = b""

    def encode(self, connection: bytes) -> bytes:
        """Status line, headers (with the line `connection`, if any) and body."""
        return b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n%b\r\n%b" % (
            status_line(self.status),
            self.content_type,
            self.headers,
            len(self.body),
            connection,
            self.body,
        )


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that comes in pieces."""

    chunks: AsyncGenerator[bytes, None]
    content_type: bytes


def failure(error: PyServeError, content_type: bytes = JSON) -> Reply:
    """What a domain error is over HTTP; noted where somebody wants to read that much."""
    _log.debug("Request failed: %s", error.message)
    headers = b"Accept-Encoding: gzip, deflate\r\n" if isinstance(error, UnknownEncodingError) else b""
    return Reply(http_status(error.code), metadata.error(error.message), content_type, headers)


def denied(access: Access) -> Reply:
    """Why a request is not even looked at."""
    if access is Access.NO_TOKEN:
        text = "Unauthorized: this port expects the header 'Authorization: token <token>'"
        return Reply(401, metadata.error(text), TEXT)
    text = "Forbidden: the request comes from a page of another site"
    if access is Access.FOREIGN_HOST:
        text = "Forbidden: this port answers to local names only, and the header 'Host' has another"
    return Reply(403, metadata.error(text), TEXT)


def restricted(header: str) -> Reply:
    """What is said to who lacks the header that opens a part of the protocol."""
    return Reply(403, metadata.error(f"This API is restricted, expecting header '{header}'"), TEXT)
