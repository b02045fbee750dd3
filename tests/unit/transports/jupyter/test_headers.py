"""Header filters, body framing and the head that goes to the engine."""

from __future__ import annotations

import pytest

from jupyter_pyserve.transports.jupyter.headers import (
    Framing,
    FramingError,
    framing,
    request_head,
    request_headers,
    response_headers,
)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cookie",
        "Cookie",
        "X-XSRFToken",
        "Referer",
        "Origin",
        "Host",
        "Expect",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "UPGRADE",
    ],
)
def test_never_forwarded(name: str) -> None:
    assert request_headers([(name, "secret"), ("Accept", "*/*")]) == [("Accept", "*/*")]


def test_headers_of_the_protocol_are_forwarded_in_order() -> None:
    headers = [("Inference-Header-Content-Length", "12"), ("Content-Encoding", "gzip"), ("Accept-Encoding", "gzip")]
    assert request_headers(headers) == headers


def test_what_connection_names_is_dropped() -> None:
    assert request_headers([("Connection", "close, X-Secret"), ("x-secret", "1"), ("X-Other", "2")]) == [
        ("X-Other", "2")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Server",
        "Date",
        "Set-Cookie",
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Access-Control-Allow-Origin",
        "Connection",
        "Transfer-Encoding",
    ],
)
def test_never_returned(name: str) -> None:
    assert response_headers([(name.lower(), "x"), ("Content-Length", "3")]) == [("Content-Length", "3")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Framing(length=0)),
        ([("content-length", "12")], Framing(length=12)),
        ([("Content-Length", "12, 12")], Framing(length=12)),
        ([("Content-Length", "12"), ("Content-Length", "12")], Framing(length=12)),
        ([("Transfer-Encoding", "Chunked")], Framing(length=None)),
    ],
)
def test_framing(headers: list[tuple[str, str]], expected: Framing) -> None:
    assert framing(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Length", "12, 13")],
        [("Content-Length", "12"), ("Content-Length", "13")],
        [("Content-Length", "+12")],
        [("Content-Length", "-1")],
        [("Content-Length", "1_0")],
        [("Content-Length", "\u0661")],
        [("Content-Length", "")],
        [("Content-Length", "9" * 5000)],
        [("Content-Length", "12"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "identity")],
    ],
)
def test_ambiguous_framing_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(FramingError):
        framing(headers)


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("GET", Framing(length=0), b""),
        ("GET", Framing(length=3), b"Content-Length: 3\r\n"),
        ("POST", Framing(length=0), b"Content-Length: 0\r\n"),
        ("POST", Framing(length=None), b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_request_head(method: str, body: Framing, expected: bytes) -> None:
    head = request_head(method, "/v2?a=b", [("X-Name", "caf\xe9")], body)
    assert head == (
        f"{method} /v2?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
        + expected
        + b"X-Name: caf\xe9\r\n\r\n"
    )
