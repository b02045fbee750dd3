from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.settings import Category, Key
from jupyter_pyserve.transports.http.head import JSON, TEXT, Access, Gate, Head, HeadError, HeadParser
from jupyter_pyserve.v2.compression import Encoding
from jupyter_pyserve.v2.forwarding import HeaderPattern
from jupyter_pyserve.v2.routes import Endpoint, Route, RouteError

TRUSTED = Gate(trusted=True)
LOOPBACK = Gate(loopback=True)


def head(*lines: str, first: str = "GET /v2 HTTP/1.1", gate: Gate = TRUSTED) -> Head:
    return HeadParser(gate).parse("\r\n".join([first, *lines, "", ""]).encode("latin-1"))


def test_what_a_head_says() -> None:
    told = head(
        "Host: x",
        "Content-Length: 12",
        "Inference-Header-Content-Length: 7",
        "Content-Encoding: gzip",
        "Accept-Encoding: deflate",
        first="POST /v2/models/m/versions/3/infer?a=b HTTP/1.1",
    )
    assert told.method == b"POST"
    assert told.target == b"/v2/models/m/versions/3/infer?a=b"
    assert told.route == Route(endpoint=Endpoint.INFER, model="m", version="3")
    assert (told.content_length, told.chunked, told.expects_continue) == (12, False, False)
    assert told.inference_header == b"7"
    assert (told.content_encoding, told.accepted_encoding) == (Encoding.GZIP, Encoding.DEFLATE)


def test_what_a_short_head_leaves_out() -> None:
    told = head()
    assert (told.content_length, told.inference_header, told.content_encoding) == (0, None, Encoding.IDENTITY)


def test_names_of_headers_in_any_case() -> None:
    assert head("content-LENGTH: 5").content_length == 5
    assert head("INFERENCE-header-CONTENT-length:  9  ").inference_header == b"9"


def test_the_first_of_two_equal_headers_counts() -> None:
    assert head("Inference-Header-Content-Length: 1", "Inference-Header-Content-Length: 2").inference_header == b"1"


@pytest.mark.parametrize("value", ["chunked", "Chunked", "gzip, chunked"])
def test_chunked(value: str) -> None:
    assert head(f"Transfer-Encoding: {value}", first="POST /v2 HTTP/1.1").chunked


@pytest.mark.parametrize(
    ("first", "line", "keeps", "told"),
    [
        ("GET /v2 HTTP/1.1", "A: b", True, b""),
        ("GET /v2 HTTP/1.1", "Connection: close", False, b"Connection: close\r\n"),
        ("GET /v2 HTTP/1.1", "Connection: Close", False, b"Connection: close\r\n"),
        ("GET /v2 HTTP/1.0", "A: b", False, b"Connection: close\r\n"),
        ("GET /v2 HTTP/1.0", "Connection: keep-alive", True, b"Connection: keep-alive\r\n"),
    ],
)
def test_whether_the_connection_stays(first: str, line: str, keeps: bool, told: bytes) -> None:
    found = head(line, first=first)
    assert (found.keep_alive, found.connection) == (keeps, told)


@pytest.mark.parametrize("target", ["http://localhost/v2/health/live", "https://a:1/v2/health/live?x=y"])
def test_absolute_targets(target: str) -> None:
    assert head(first=f"GET {target} HTTP/1.1").route == Route(endpoint=Endpoint.SERVER_LIVE)


@pytest.mark.parametrize("method", ["BLAH", "GETS", "A"])
def test_methods_that_nobody_knows_are_wrong_methods(method: str) -> None:
    told = head(first=f"{method} /v2 HTTP/1.1")
    assert told.route is RouteError.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("GET /nowhere HTTP/1.1", TEXT),
        ("POST /v2/health/live HTTP/1.1", TEXT),
        ("GET /v2/models/m/infer HTTP/1.1", TEXT),
        ("POST /v2 HTTP/1.1", JSON),
        ("GET /v2/repository/index HTTP/1.1", JSON),
    ],
)
def test_type_of_an_answer_that_says_no(first: str, kind: bytes) -> None:
    assert head(first=first).error_type == kind


def test_the_control_path_is_for_trusted_listeners() -> None:
    first = "POST /api/models/m/deploy?x=1 HTTP/1.1"
    assert head(first=first).control == "models/m/deploy"
    for gate in (LOOPBACK, Gate(token="t")):
        told = head("Host: localhost", "Authorization: token t", first=first, gate=gate)
        assert told.control is None
        assert told.route is RouteError.NOT_FOUND


def test_expect_continue() -> None:
    assert head("Expect: 100-Continue").expects_continue
    assert not head("Expect: something").expects_continue


# -- who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["token s3cret", "Token s3cret", "Bearer s3cret", "bearer   s3cret "])
def test_the_token_opens(value: str) -> None:
    gate = Gate(token="s3cret", loopback=True)
    assert head(f"Authorization: {value}", "Host: evil.example", gate=gate).access is Access.GRANTED


@pytest.mark.parametrize(
    "line",
    [
        "A: b",
        "Authorization: s3cret",
        "Authorization: token",
        "Authorization: token wrong",
        "Authorization: token s3cre",
        "Authorization: token s3crets",
        "Authorization: Basic s3cret",
        "Authorization: token \xff",
        "X-Authorization: token s3cret",
    ],
)
def test_anything_else_does_not(line: str) -> None:
    assert head(line, gate=Gate(token="s3cret", loopback=True)).access is Access.NO_TOKEN


def test_a_second_authorization_does_not_help() -> None:
    lines = ("Authorization: token wrong", "Authorization: token s3cret")
    assert head(*lines, gate=Gate(token="s3cret")).access is Access.NO_TOKEN


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000", "a.localhost:1", "10.1.2.3"],
)
def test_hosts_that_are_ours(host: str) -> None:
    assert head(f"Host: {host}", gate=LOOPBACK).access is Access.GRANTED


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost"]
)
def test_names_that_only_resolve_to_us(host: str) -> None:
    assert head(f"Host: {host}", gate=LOOPBACK).access is Access.FOREIGN_HOST
    assert head(f"Host: {host}", gate=Gate()).access is Access.GRANTED


@pytest.mark.parametrize(
    ("origin", "access"),
    [
        ("http://localhost:8000", Access.GRANTED),
        ("http://evil.example", Access.FOREIGN_ORIGIN),
        ("http://localhost:8001", Access.FOREIGN_ORIGIN),
        ("http://localhost", Access.FOREIGN_ORIGIN),
        ("null", Access.FOREIGN_ORIGIN),
        ("", Access.FOREIGN_ORIGIN),
    ],
)
def test_pages_of_other_sites(origin: str, access: Access) -> None:
    for gate in (LOOPBACK, Gate()):
        assert head("Host: localhost:8000", f"Origin: {origin}", gate=gate).access is access


def test_a_trusted_listener_asks_nothing() -> None:
    gate = Gate(trusted=True, token="s3cret", loopback=True)
    assert head("Host: evil.example", "Origin: http://evil.example", gate=gate).access is Access.GRANTED


# -- what is no head --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -1"],
        ["Content-Length: 1x"],
        ["Content-Length: 0x10"],
        ["Content-Length: 1_0"],
        ["Content-Length: +1"],
        ["Content-Length: "],
        ["Content-Length: " + "9" * 30],
        ["Content-Length: \xb2"],
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: 1x", "Transfer-Encoding: chunked"],
        ["Content-Length: 1", "Transfer-Encoding: identity"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, gzip"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["no colon"],
        ["Bad Name: x"],
        ["A: b\x00c"],
        [" folded: x"],
    ],
    ids=str,
)
def test_malformed_lines(lines: list[str]) -> None:
    with pytest.raises(HeadError):
        head(*lines, first="POST /v2 HTTP/1.1")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v2 HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"get /v2 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n",
        b"GET /v2 HTTP/1.1\r\nA: b",
    ],
)
def test_not_http(data: bytes) -> None:
    with pytest.raises(HeadError):
        HeadParser(TRUSTED).parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_are_not(data: bytes) -> None:
    parse_or_refuse(data + b"\r\n\r\n")


@given(
    st.sampled_from(["GET", "POST", "PATCH", "CONNECT", "HEAD", "OPTIONS", "ZZZ"]),
    st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "X", ""]
            ),
            st.text(st.characters(max_codepoint=255), max_size=30),
        ),
        max_size=6,
    ),
)
def test_mutated_heads_are_refused_or_sane(method: str, path: str, headers: list[tuple[str, str]]) -> None:
    lines = [f"{method} /{path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    parse_or_refuse("\r\n".join(lines).encode("latin-1"))


def parse_or_refuse(data: bytes) -> None:
    try:
        told = HeadParser(LOOPBACK).parse(data)
    except HeadError:
        return
    assert 0 <= told.content_length < 10**18
    assert told.control is None
    assert not (told.chunked and told.content_length)


def test_a_body_that_is_chunked_by_a_second_header_is_chunked() -> None:
    # Who takes the first of the two only would take the body for the next request.
    lines = ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked")
    assert head(*lines, first="POST /v2 HTTP/1.1").chunked


@pytest.mark.parametrize("lines", list(itertools.permutations(["Content-Length: 18", "Transfer-Encoding: chunked"])))
def test_chunks_count_more_than_a_length_and_the_connection_ends(lines: tuple[str, str]) -> None:
    # What a proxy that believes the length takes for the next request is never read.
    told = head(*lines, first="POST /v2 HTTP/1.1")
    assert (told.chunked, told.content_length, told.keep_alive) == (True, 0, False)
    assert told.connection == b"Connection: close\r\n"


# -- memory -----------------------------------------------------------------------------------------------------------


def test_equal_bytes_give_the_same_value() -> None:
    parser = HeadParser(TRUSTED)
    data = b"GET /v2 HTTP/1.1\r\n\r\n"
    assert parser.parse(data) is parser.parse(bytes(bytearray(data)))


def test_what_is_remembered_is_bounded() -> None:
    parser = HeadParser(TRUSTED)
    first = b"GET /v2 HTTP/1.1\r\nX: first\r\n\r\n"
    told = parser.parse(first)
    for number in range(1500):
        parser.parse(b"GET /v2 HTTP/1.1\r\nX: %d\r\n\r\n" % number)
    assert parser.parse(first) is not told
    large = b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n"
    assert parser.parse(large) is not parser.parse(large)


def test_headers_that_are_forwarded_keep_their_spelling() -> None:
    parser = HeadParser(TRUSTED, forwarding=HeaderPattern("x-"))
    data = b"GET /v2 HTTP/1.1\r\nHost: h\r\nX-Foo:  caf\xc3\xa9 \r\nmy-x-Name: 2\r\n\r\n"
    assert parser.parse(data).forwarded == (("X-Foo", "caf\u00e9 "), ("my-x-Name", "2"))
    assert head("X-Foo: 1").forwarded == ()


@pytest.mark.parametrize(
    ("first", "line", "lacks"),
    [
        ("GET /v2 HTTP/1.1", "A: b", "Some-Key"),
        ("GET /v2 HTTP/1.1", "Some-Key: value", "Some-Key"),
        ("POST /v2 HTTP/1.1", "A: b", "Some-Key"),
        ("GET /v2 HTTP/1.1", "some-key: Value", ""),
        ("GET /v2/health/live HTTP/1.1", "A: b", ""),
        ("GET /v2/nowhere HTTP/1.1", "A: b", ""),
    ],
)
def test_what_a_client_lacks(first: str, line: str, lacks: str) -> None:
    parser = HeadParser(TRUSTED, restrictions={Category.METADATA: Key("Some-Key", "Value")})
    assert parser.parse(f"{first}\r\nHost: h\r\n{line}\r\n\r\n".encode()).lacks == lacks
