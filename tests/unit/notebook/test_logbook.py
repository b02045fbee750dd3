from __future__ import annotations

import asyncio
import json

import pytest

import jupyter_pyserve as pyserve
from jupyter_pyserve.errors import PyServeError
from tests.unit.notebook.fake_engine import FakeEngine

LINES = [json.dumps({"text": text, "seq": seq}).encode() + b"\n" for seq, text in enumerate(("one", "two"), 1)]


def test_logs_are_asked_for_as_they_are_wanted(engine: FakeEngine) -> None:
    path = "/api/models/add_one/logs?tail=5&instance=i&level=ERROR&search=Boom&request=r"
    engine.answer("GET", path, json={"records": [{"text": "hello"}]})
    assert "hello" in repr(pyserve.logs("add_one", tail=5, instance="i", level="ERROR", grep="Boom", request="r"))
    engine.answer("GET", "/api/logs?tail=200", json={"records": []})
    assert repr(pyserve.logs()) == "nothing was printed or logged"


def test_a_level_that_is_none(engine: FakeEngine) -> None:
    with pytest.raises(PyServeError, match="'LOUD' is not one of: VERBOSE, INFO, WARNING, ERROR"):
        pyserve.logs(level="LOUD")


def test_a_model_that_nobody_knows_is_an_error(engine: FakeEngine) -> None:
    engine.answer("GET", "/api/models/nope/logs?tail=200", json={"records": []})
    for call in (pyserve.logs, pyserve.follow_logs):
        with pytest.raises(PyServeError, match="unknown model: 'nope'"):
            call("nope")


def test_following_in_both_kinds_of_loop(engine: FakeEngine) -> None:
    engine.answer("GET", "/api/models/add_one/logs?tail=10&follow=1", lines=[*LINES[:1], b"\n", *LINES[1:]])
    assert [record["text"] for record in pyserve.follow_logs("add_one")] == ["one", "two"]

    async def followed() -> list[str]:
        return [record["text"] async for record in pyserve.follow_logs("add_one")]

    assert asyncio.run(followed()) == ["one", "two"]
