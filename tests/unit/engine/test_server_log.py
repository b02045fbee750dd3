from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_pyserve.engine.server_log import ServerLog, TritonFormatter
from jupyter_pyserve.settings import LogFormat, LogSettings

LEVELS = {"details": logging.DEBUG, "loaded": logging.INFO, "odd": logging.WARNING, "broken": logging.ERROR}


@pytest.fixture
def _root_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level = handlers, level


def written(path: Path) -> list[str]:
    """What of one line of each level comes through."""
    path.write_text("")
    for text, level in LEVELS.items():
        logging.getLogger("some.module").log(level, text)
    return re.findall(r'] "(\w+)"', path.read_text())


@pytest.mark.usefixtures("_root_restored")
@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({}, ["loaded", "odd", "broken"]),
        ({"verbose_level": 1}, ["details", "loaded", "odd", "broken"]),
        ({"info": False}, ["odd", "broken"]),
        ({"info": False, "verbose_level": 1}, ["details", "odd", "broken"]),
        ({"warning": False}, ["loaded", "broken"]),
        ({"error": False}, ["loaded", "odd"]),
    ],
)
def test_what_is_let_through_may_change_at_any_time(
    settings: dict[str, bool | int], seen: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    log = ServerLog(LogSettings(file=str(path)))
    log.install()
    log.change(LogSettings(**settings, file=str(path)))  # type: ignore[arg-type]
    assert written(path) == seen
    log.change(LogSettings(file=str(path)))
    assert written(path) == ["loaded", "odd", "broken"]


@pytest.mark.usefixtures("_root_restored")
def test_the_format_may_change_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ServerLog(LogSettings(file=str(path)))
    log.install()
    log.change(LogSettings(format=LogFormat.ISO8601))
    logging.getLogger("x").warning("odd")
    assert re.fullmatch(rf'\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ W {os.getpid()} \w+\.py:\d+] "odd"\n', path.read_text())


def formatted(text: str, level: int = logging.INFO, **extra: object) -> str:
    made = logging.LogRecord("n", level, "/a/registry.py", 12, "%s", (text,), None)
    made.created = 86_400.25
    made.__dict__.update(extra)
    return TritonFormatter().format(made)


@pytest.mark.parametrize(
    ("level", "letter"),
    [(logging.DEBUG, "I"), (logging.INFO, "I"), (logging.WARNING, "W"), (logging.ERROR, "E"), (logging.CRITICAL, "E")],
)
def test_log_lines_look_like_tritons(level: int, letter: str) -> None:
    assert formatted("loaded", level) == f'{letter}0102 00:00:00.250000 {os.getpid()} registry.py:12] "loaded"'


def test_a_text_stays_one_line() -> None:
    assert formatted('say "no"\nnow\x1b').endswith('"say \\"no\\"\\nnow\\u001B"')


def test_texts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_SERVER_ESCAPE_LOG_MESSAGES", "0")
    assert formatted('say "no"\nnow').endswith('] say "no"\nnow')


def test_models_have_their_own_place() -> None:
    assert " model.py:3] " in formatted("x", model_file="model.py", model_line=3)
