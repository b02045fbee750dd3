"""Tests of `jupyter_pyserve.transports.jupyter.tracebacks`."""

from __future__ import annotations

import json

import pytest

from jupyter_pyserve.transports.jupyter.tracebacks import without_frames

FRAMES = '\n\nAt:\n  /a "b"\\c/model.py(3): execute\n  <string>(1): f\n'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no such model", "no such model"),
        (f"ValueError: boom{FRAMES}", "ValueError: boom"),
        (f"one{FRAMES}{FRAMES}two{FRAMES}three", "onetwothree"),
        ("the model says\n\nAt:\nhome", "the model says\n\nAt:\nhome"),
    ],
)
def test_frames_are_left_out(text: str, left: str) -> None:
    assert json.loads(without_frames(json.dumps({"error": text}).encode())) == {"error": left}


def test_what_is_no_error_is_left_alone() -> None:
    assert without_frames(b"\x00\xff") == b"\x00\xff"
