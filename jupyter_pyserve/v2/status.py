"""Tables from domain codes to the statuses of HTTP and gRPC, and the reason phrases that stand on HTTP's status line.

Only numbers and words: how an answer is framed belongs to the transports.
"""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_pyserve.errors import Code

HTTP_STATUS: Mapping[Code, int] = {
    Code.UNKNOWN: 400,
    Code.INTERNAL: 500,
    Code.NOT_FOUND: 404,
    Code.INVALID_ARG: 400,
    Code.UNAVAILABLE: 503,
    Code.UNSUPPORTED: 501,
    Code.ALREADY_EXISTS: 400,
    Code.CANCELLED: 400,
}

GRPC_STATUS: Mapping[Code, int] = {
    Code.UNKNOWN: 2,
    Code.INTERNAL: 13,
    Code.NOT_FOUND: 5,
    Code.INVALID_ARG: 3,
    Code.UNAVAILABLE: 14,
    Code.UNSUPPORTED: 12,
    Code.ALREADY_EXISTS: 6,
    Code.CANCELLED: 1,
}

REASON: Mapping[int, str] = {
    100: "Continue",
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
"""405 carries Triton's phrase, `Not Allowed`, not the one of RFC 9110."""


def http_status(code: Code) -> int:
    return HTTP_STATUS[code]


def status_line(status: int) -> bytes:
    """`404 Not Found`: what follows `HTTP/1.1 ` on the status line."""
    return f"{status} {REASON.get(status, 'Unknown')}".encode("ascii")
