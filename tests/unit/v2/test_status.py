from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code
from jupyter_pyserve.v2.status import HTTP_STATUS, REASON, http_status, status_line


def test_every_code_has_a_status_and_every_status_a_reason() -> None:
    assert set(HTTP_STATUS) == set(Code)
    assert set(HTTP_STATUS.values()) <= set(REASON)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.INTERNAL, 500),
        (Code.NOT_FOUND, 404),
        (Code.UNAVAILABLE, 503),
        (Code.UNSUPPORTED, 501),
        (Code.CANCELLED, 400),
    ],
)
def test_statuses(code: Code, status: int) -> None:
    assert http_status(code) == status


def test_status_lines() -> None:
    assert status_line(405) == b"405 Not Allowed"
    assert status_line(299) == b"299 Unknown"
