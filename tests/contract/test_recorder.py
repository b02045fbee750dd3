"""The recorder of golden answers, with a server that ends when it is asked to."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.golden.case import Scenario, get
from tests.golden.exchange import CLOSED, GONE
from tests.golden.play import play

#: Counts what it is asked, from its start on.
_SERVER = """
import os, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        health = self.path.startswith("/v2/health")
        Handler.asked += not health
        if self.path == "/die" or (self.path == "/die-once" and not os.path.exists(sys.argv[2])):
            pathlib.Path(sys.argv[2]).touch()
            os._exit(1)
        if self.path == "/close":
            return
        body = b"" if health else str(Handler.asked).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def _template(folder: Path) -> str:
    code = folder / "server.py"
    code.write_text(_SERVER)
    return f"{shlex.join([sys.executable, str(code)])} {{http}} {folder / 'died'}"


def _bodies(folder: Path, *paths: str, remembers: bool = True) -> list[object]:
    cases = tuple(get(f"{number}", f"/{path}") for number, path in enumerate(paths))
    scenario = Scenario(name="s", cases=cases, remembers=remembers)
    found = play(scenario, _template(folder), repository=folder, log=folder / "log", restarts=9)
    return [answer.get("body", answer) for answer in (found[case.name][0] for case in cases)]


def test_a_closed_connection_is_an_answer(tmp_path: Path) -> None:
    assert _bodies(tmp_path, "a", "close", "b") == ["1", CLOSED, "3"]


def test_what_ends_a_server_once_is_asked_again_of_one_that_knows_what_was_before(tmp_path: Path) -> None:
    assert _bodies(tmp_path, "a", "b", "die-once", "c") == ["1", "2", "3", "4"]


def test_or_of_one_that_does_not_where_nothing_depends_on_it(tmp_path: Path) -> None:
    assert _bodies(tmp_path, "a", "b", "die-once", "c", remembers=False) == ["1", "2", "1", "2"]


def test_what_always_ends_a_server_is_named_and_the_others_are_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert _bodies(tmp_path, "a", "die", "b") == ["1", CLOSED, "2"]
    assert [record.message for record in caplog.records] == [
        f"s/1 ended the server ({count})" for count in (1, 2, 3, 4, 5)
    ]


def test_a_server_that_does_not_start_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scenario = Scenario(name="s", cases=(get("a", "/a"),))
    template = f"{shlex.join([sys.executable, '-c', 'print(40 + 2)'])}"
    assert play(scenario, template, repository=tmp_path, log=tmp_path / "log", restarts=9) == {"a": [GONE]}
    assert [record.message.splitlines()[-1] for record in caplog.records] == ["42"] * 5
