from __future__ import annotations

import numpy as np

from jupyter_pyserve.notebook.debugging.recorded import RecordingList, Replay
from jupyter_pyserve.notebook.payloads import RecordingInfo

ROW: RecordingInfo = {
    "id": "m-1",
    "model": "m",
    "version": "2",
    "instance": "m_0",
    "time": 0.0,
    "error": "Failed to process the request(s) for model 'm_0', message: ValueError: <b>no</b>\n\nAt:\n  model.py(3)",
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [3]}],
    "parameters": {},
    "request_id": "r",
    "correlation_id": 0,
    "flags": 0,
    "nbytes": 12,
    "kept": True,
}


def test_a_list_shows_one_line_each() -> None:
    found = RecordingList([ROW, {**ROW, "id": "m-2", "error": "", "kept": False}])
    head, first, second = found.plain().splitlines()
    assert head.split() == ["id", "version", "time", "request", "inputs", "error"]
    assert first.endswith("r        X FP32[3]                        ValueError: <b>no</b>")
    assert second.endswith("X FP32[3] (too large, not kept)  answered")
    assert "&lt;b&gt;no&lt;/b&gt;" in found.html()
    assert (len(found), found[0]["id"], [row["id"] for row in found]) == (2, "m-1", ["m-1", "m-2"])


def test_an_empty_list_says_how_to_fill_it() -> None:
    assert "%pyserve record NAME --mode all" in RecordingList([]).plain()
    assert "%pyserve record NAME --mode all" in RecordingList([]).html()


def test_an_error_is_not_longer_than_a_line() -> None:
    assert len(RecordingList([{**ROW, "error": "x" * 1000}]).plain().splitlines()[1]) < 150


def test_a_replay_shows_its_outputs_or_its_error() -> None:
    answered = Replay("m-1", [{"Y": np.array([1, 2])}, {"Y": np.array([3, 4])}], where="in this kernel")
    assert answered.plain() == (
        "m-1 was answered with 2 responses, in this kernel\nY int64[2] = array([1, 2])\nY int64[2] = array([3, 4])"
    )
    assert answered["Y"].tolist() == [3, 4]
    failed = Replay("m-1", [], "<no>", where="in this kernel")
    assert failed.plain() == "m-1 was answered with an error again, in this kernel\n<no>"
    assert "&lt;no&gt;" in failed.html()
