from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from pyserve_stub.readiness import NOT_READY, READY, answer_checks, has_check


class Model:
    def __init__(self, check: Callable[[], Any]) -> None:
        self.is_ready = check


async def agree() -> bool:
    return True


def fail() -> bool:
    raise SystemExit("not today")


def asked(check: Callable[[], Any], times: int = 1) -> list[bytes]:
    """What the engine hears."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        answer_checks(theirs.detach(), Model(check), "m_0", asyncio.run)
        answers = []
        for _ in range(times):
            ours.send(b"?")
            answers.append(ours.recv(65536))
        return answers


@pytest.mark.parametrize("check", [lambda: True, agree])
def test_ready(check: Callable[[], Any]) -> None:
    assert asked(check, 3) == [READY] * 3


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (lambda: False, b"Model 'm_0' is not ready (user-defined check failed)."),
        (lambda: 1, b"is_ready() must return a boolean value"),
        (lambda: None, b"is_ready() must return a boolean value"),
        (fail, b"SystemExit: not today\n\nAt:\n"),
    ],
)
def test_not_ready(check: Callable[[], Any], reason: bytes) -> None:
    for answer in asked(check, 2):
        assert answer.startswith(NOT_READY + reason)


def test_a_long_reason_is_cut() -> None:
    def check() -> bool:
        raise RuntimeError("x" * 100_000)

    [answer] = asked(check)
    assert len(answer) == 1 + 16 * 1024


def test_who_is_asked() -> None:
    assert has_check(Model(agree))
    assert not has_check(object())
