from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.head import Access
from jupyter_pyserve.transports.http.replies import TEXT, Reply, denied, failure, restricted
from jupyter_pyserve.v2.compression import UnknownEncodingError


def test_bytes_of_an_answer() -> None:
    assert Reply(405, b"{}").encode(b"") == (
        b"HTTP/1.1 405 Not Allowed\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_with_a_header_more() -> None:
    assert b"\r\nConnection: close\r\n\r\n" in Reply(200, content_type=TEXT).encode(b"Connection: close\r\n")


def test_errors() -> None:
    reply = failure(PyServeError(Code.NOT_FOUND, 'say "no"'))
    assert (reply.status, reply.body) == (404, b'{"error":"say \\"no\\""}')


@pytest.mark.parametrize(
    ("access", "status", "named"),
    [
        (Access.NO_TOKEN, 401, b"'Authorization: token <token>'"),
        (Access.FOREIGN_ORIGIN, 403, b"page of another site"),
        (Access.FOREIGN_HOST, 403, b"header 'Host'"),
    ],
)
def test_refusals(access: Access, status: int, named: bytes) -> None:
    refusal = denied(access)
    assert refusal.status == status
    assert named in refusal.body


def test_an_unknown_encoding_is_answered_with_those_that_are_known() -> None:
    answer = failure(UnknownEncodingError(), TEXT).encode(b"")
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert b"\r\nAccept-Encoding: gzip, deflate\r\n" in answer


def test_a_part_for_those_who_know_its_header() -> None:
    reply = restricted("some-key")
    assert (reply.status, reply.content_type) == (403, TEXT)
    assert reply.body == b'{"error":"This API is restricted, expecting header \'some-key\'"}'
