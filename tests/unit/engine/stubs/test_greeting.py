from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault
from jupyter_pyserve.engine.stubs.greeting import Greeting

HELLO = {"op": "hello", "magic": frames.MAGIC, "version": frames.VERSION, "interpreter": "/p", "python": "3.9.18"}


def after(*events: tuple[str, Any]) -> Greeting:
    """What is made of events, by somebody who waits."""

    async def play() -> Greeting:
        greeting = Greeting()
        greeting.expect()
        for name, note in events:
            getattr(greeting, name)(*([note] if note is not None else []))
        await greeting.wait(0.01)
        return greeting

    return asyncio.run(play())


def test_a_stub_says_what_it_runs() -> None:
    greeting = after(("hello", HELLO), ("ended", None))
    assert (greeting.interpreter, greeting.python) == ("/p", "3.9.18")


def test_an_interpreter_that_is_unfit_says_why_and_ends() -> None:
    with pytest.raises(StubFault) as fault:
        after(("unfit", {"op": "unfit", "text": "too old"}), ("ended", None))
    assert fault.value.text == "too old"


def test_one_that_ends_without_a_word() -> None:
    with pytest.raises(StubDied):
        after(("ended", None))


def test_one_that_says_nothing() -> None:
    with pytest.raises(asyncio.TimeoutError):
        after()


@pytest.mark.parametrize("change", [{"magic": "other"}, {"version": 99}, {"version": None}])
def test_one_that_speaks_otherwise(change: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="the stub speaks version"):
        after(("hello", HELLO | change))


def test_what_nobody_waits_for_is_no_error() -> None:
    greeting = Greeting()
    greeting.ended()
    greeting.hello(HELLO)
    assert greeting.python == "3.9.18"
