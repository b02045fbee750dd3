"""Looking through what models said, and following it."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.process.client import command, said
from tests.process.engine import Engine
from tests.process.test_watching import Lines
from tests.process.waiting import wait_until


def logs(engine: Engine, model: str, query: str = "") -> tuple[list[str], int]:
    told = engine.http.get(f"/api/models/{model}/logs?{query}").json()
    return [record["text"] for record in told["records"]], told["next"]


def has_said(engine: Engine, model: str, expected: set[str]) -> bool:
    return expected <= set(logs(engine, model)[0])


@pytest.fixture
def talkative(engine: Engine, puppet: str) -> str:
    for text in ("one", "two", "Three"):
        said(engine.infer(puppet, command("say", text=text), id=f"id-{text}"))
        expected = {f"{how} {text}" for how in ("complained", "told", "printed")}
        wait_until(functools.partial(has_said, engine, puppet, expected), lambda: logs(engine, puppet))
    return puppet


def test_what_is_asked_for(engine: Engine, talkative: str) -> None:
    found, _ = logs(engine, talkative, "search=THREE")
    assert found
    assert all("Three" in text for text in found)
    found, _ = logs(engine, talkative, "request=id-two")
    assert found
    assert {"printed two", "told two"} <= set(found)
    assert not [text for text in found if "one" in text or "Three" in text]
    assert "printed one" not in logs(engine, talkative, "level=ERROR")[0]
    assert "complained one" in logs(engine, talkative, "level=ERROR")[0]
    assert logs(engine, talkative, "search=nowhere")[0] == []
    assert len(logs(engine, talkative, "tail=2")[0]) == 2
    assert logs(engine, talkative, "tail=0")[0] == []


def test_page_after_page(engine: Engine, talkative: str) -> None:
    everything, newest = logs(engine, talkative)
    pages: list[str] = []
    after = 0
    while after < newest:
        page, after = logs(engine, talkative, f"after={after}&tail=4")
        assert len(page) <= 4
        pages += page
    assert pages == everything
    assert logs(engine, talkative, f"after={newest}") == ([], newest)


def test_following(engine: Engine, talkative: str) -> None:
    before, _ = logs(engine, talkative, "search=printed")
    lines = Lines(engine, "follow=1&search=printed", path=f"/api/models/{talkative}/logs")
    try:
        assert [_text(lines) for _ in before] == before
        said(engine.infer(talkative, command("say", text="four")))
        assert _text(lines) == "printed four"
    finally:
        lines.close()


def _text(lines: Lines) -> str:
    record: dict[str, Any] = lines.next()
    assert isinstance(record["seq"], int)
    return str(record["text"])


def test_who_follows_does_not_hold_up_the_end(fresh_engine: Engine) -> None:
    lines = Lines(fresh_engine, "follow=1", path="/api/logs")
    assert fresh_engine.stop() == 0
    lines.close()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("tail=x", "'tail' and 'after' must be numbers"),
        ("after=x", "'tail' and 'after' must be numbers"),
        ("level=LOUD", "'level' must be one of VERBOSE, INFO, WARNING, ERROR"),
    ],
)
def test_wrong_wishes(query: str, text: str, engine: Engine, puppet: str) -> None:
    assert engine.http.get(f"/api/models/{puppet}/logs?{query}").error == text
    assert json.dumps(text)
