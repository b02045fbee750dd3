from __future__ import annotations

import threading
from typing import Any

import pytest
from pyserve_stub.last_words import last_words, listen


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "words"),
    [(ValueError("no"), "ValueError: no"), (Mute(), "Mute: <exception str() failed>")],
    ids=["plain", "mute"],
)
def test_what_a_thread_dies_of_is_kept_and_reported(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    said: list[str] = []

    def report(args: Any) -> None:
        reported.append(args.exc_value)
        said.append(last_words())

    def die() -> None:
        raise error

    monkeypatch.setattr(threading, "excepthook", report)
    listen()
    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    assert reported == [error]
    assert said == [f"; its thread ended with {words}"]
    assert last_words() == ""
