from __future__ import annotations

import sys

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook import standalone
from jupyter_pyserve.notebook.standalone import ServerList, StandAlone

READY = """
import json, sys
print("words", *sys.argv[1:], flush=True)
print(json.dumps({"event": "ready", "http_url": "http://127.0.0.1:1", "grpc_url": "127.0.0.1:2"}), flush=True)
print(json.dumps({"event": "ready", "http_url": "http://elsewhere"}), flush=True)
sys.stdin.read()
print("bye", flush=True)
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_from_ready_to_its_end() -> None:
    server = StandAlone(["--http-port=0"], command=python(READY))
    assert server.wait_ready(20)
    assert (server.state, server.http_url, server.grpc_url) == ("READY", "http://127.0.0.1:1", "127.0.0.1:2")
    assert f"0       {server.pid}" in repr(server)
    assert 'href="http://127.0.0.1:1"' in server._repr_html_()
    server.stop()
    assert server.state == "ended with status 0"
    assert server.http_url == "http://127.0.0.1:1"  # nobody who prints later changes it
    assert server.output().splitlines()[0] == "words --http-port=0 --announce"
    assert server.output().endswith("bye")


def test_one_that_does_not_start_says_why() -> None:
    server = StandAlone([], command=python("raise SystemExit('no such directory')"))
    with pytest.raises(PyServeError, match="ended before it was ready:\nno such directory"):
        server.wait_ready(20)
    assert server.state == "ended with status 1"


def test_one_that_takes_long_is_not_waited_for() -> None:
    server = StandAlone([], command=python("import sys; sys.stdin.read()"))
    assert server.wait_ready(0) is False
    assert server.state == "starting"
    server.stop()


def test_options_and_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandAlone.__init__, "__kwdefaults__", {"command": python(READY)})
    server = standalone.serve("models", "--log-verbose=1", http_port=0)
    assert server.options == ["--model-repository=models", "--http-port=0", "--log-verbose=1"]
    assert standalone.servers()[0] is server
    server.stop()
    assert len(standalone.servers()) == 0
    assert "%pyserve serve --model-repository DIR" in repr(ServerList([]))


def test_one_that_does_not_hear_the_end_of_its_input_gets_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "_PIPE_S", 0.01)
    deaf = READY.replace("sys.stdin.read()", "import signal; signal.pause()")
    server = StandAlone([], command=python(deaf))
    assert server.wait_ready(20)
    server.stop()
    assert server.state == "ended with status -15"
