"""Liveness and readiness, of the server and of each model version."""

from __future__ import annotations

import pytest

from tests.support.plain import Plain
from tests.support.transport import Transport


def test_the_server_is_live_and_ready(transport: Transport) -> None:
    assert transport.is_live()
    assert transport.is_ready()


@pytest.mark.parametrize(("model", "version"), [("identity", ""), ("identity", "1"), ("versions", "10")])
def test_a_loaded_model_is_ready(transport: Transport, model: str, version: str) -> None:
    assert transport.is_model_ready(model, version)


@pytest.mark.parametrize(("model", "version"), [("nobody", ""), ("identity", "9"), ("decoupled", "")])
def test_what_is_not_loaded_is_not_ready(transport: Transport, model: str, version: str) -> None:
    assert not transport.is_model_ready(model, version)


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/identity/ready"])
def test_health_answers_are_empty_text(plain: Plain, path: str) -> None:
    answer = plain.send("GET", path)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-length"] == "0"


@pytest.mark.parametrize("state", ["live", "ready"])
def test_who_accepts_words_gets_them(plain: Plain, state: str) -> None:
    answer = plain.send("GET", f"/v2/health/{state}", headers={"Accept": "*/*"})
    assert (answer.status, answer.json()) == (200, {state: True})


def test_an_unknown_model_is_named(plain: Plain) -> None:
    answer = plain.send("GET", "/v2/models/nobody/ready")
    assert answer.status == 404
    assert answer.json() == {"error": "Request for unknown model: 'nobody' is not found"}
