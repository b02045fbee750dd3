"""What models log is in the server's log as its settings say, whenever they change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.process.client import Client, command, said
from tests.process.engine import Server
from tests.process.repository import add_model

ALL = ["VERBOSE", "INFO", "WARNING", "ERROR"]


def levels(log: Path, client: Client, text: str) -> list[str]:
    """Which of one message of each level are in the log."""
    said(client.infer("puppet", command("tell", text=text)))
    return re.findall(rf'model\.py:\d+] "{text} (\w+)"', log.read_text())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    add_model(folder, "puppet")
    return folder


def test_settings_change_while_the_server_runs(repository: Path, serve: Callable[..., Server]) -> None:
    server = serve(repository)
    client = server.wait_until_ready()

    def change(**settings: bool | int) -> Mapping[str, object]:
        answer = client.post("/v2/logging", settings)
        assert answer.status == 200, answer
        now: Mapping[str, object] = answer.json()
        return now

    assert levels(server.log, client, "first") == ALL[1:]
    change(log_verbose_level=1)
    assert levels(server.log, client, "second") == ALL
    change(log_info=False, log_warning=False)
    assert levels(server.log, client, "third") == ["VERBOSE", "ERROR"]
    assert change(log_error=False, log_verbose_level=0)["log_error"] is False
    assert levels(server.log, client, "fourth") == []


def test_a_log_file(repository: Path, tmp_path: Path, serve: Callable[..., Server]) -> None:
    log = tmp_path / "server.log"
    server = serve(repository, f"--log-file={log}", "--log-verbose=1", "--log-format=ISO8601")
    server.log = log
    log.touch()
    client = server.wait_until_ready()
    assert client.get("/v2/logging").json()["log_file"] == str(log)
    assert levels(log, client, "hello") == ALL
    assert re.search(
        r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ E \d+ model\.py:\d+] "hello ERROR"$', log.read_text(), re.MULTILINE
    )
