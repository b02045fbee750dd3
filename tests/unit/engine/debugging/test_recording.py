from __future__ import annotations

import json

import pytest

from jupyter_pyserve.engine.debugging.recording import Recording, Shelf
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2.messages import InferRequest, InputRef


def recording(name: str, *, model: str = "m", blob: bytes | None = b"1234") -> Recording:
    nbytes = 4 if blob is None else len(blob)
    item = InputRef(name="IN", datatype="UINT8", shape=(nbytes,), offset=0, nbytes=nbytes)
    return Recording(
        id=name,
        model=model,
        version="2",
        instance="m_0_0",
        model_file="/models/m/2/model.py",
        args={},
        time=7.5,
        error="why",
        seen={"IN": (nbytes,)},
        request=InferRequest(id="r", inputs=(item,), parameters={"a": 1}, correlation_id="s", flags=1),
        blobs=None if blob is None else (blob,),
        nbytes=nbytes,
    )


def names(shelf: Shelf, model: str = "") -> list[str]:
    return [item.id for item in shelf.of(model)]


def test_a_recording_tells_everything_but_the_data() -> None:
    assert recording("a").to_json_dict() == {
        "id": "a",
        "model": "m",
        "version": "2",
        "instance": "m_0_0",
        "time": 7.5,
        "error": "why",
        "inputs": [{"name": "IN", "datatype": "UINT8", "shape": [4]}],
        "parameters": {"a": 1},
        "request_id": "r",
        "correlation_id": "s",
        "flags": 1,
        "nbytes": 4,
        "kept": True,
    }


def test_the_body_of_a_recording_is_a_request() -> None:
    length, body = recording("a").body()
    assert body[length:] == b"1234"
    head = json.loads(body[:length])
    assert (head["id"], head["parameters"]["sequence_id"]) == ("r", "s")
    with pytest.raises(PyServeError, match="recording 'b' were not kept: they have 4 bytes"):
        recording("b", blob=None).body()


def test_the_oldest_go_first() -> None:
    shelf = Shelf(100)
    for name in ("a", "b", "c"):
        shelf.put(recording(name), 2)
    shelf.put(recording("x", model="other"), 2)
    assert (names(shelf), names(shelf, "m")) == (["b", "c", "x"], ["b", "c"])
    assert (shelf.count("m"), shelf.count("other"), shelf.count("nobody")) == (2, 1, 0)
    shelf.trim("m", 1)
    assert names(shelf) == ["c", "x"]


def test_a_size_is_not_exceeded() -> None:
    shelf = Shelf(9)
    shelf.put(recording("a"), 10)
    shelf.put(recording("big", blob=None), 10)
    shelf.put(recording("b", model="other"), 10)
    assert names(shelf) == ["a", "big", "b"]
    shelf.put(recording("c"), 10)
    assert names(shelf) == ["big", "b", "c"]
    shelf.drop("b")
    shelf.put(recording("d"), 10)
    assert names(shelf) == ["big", "c", "d"]


def test_what_is_not_there_is_named() -> None:
    shelf = Shelf(9)
    for act in (shelf.get, shelf.drop):
        with pytest.raises(PyServeError, match="there is no recording 'a': only the newest are kept"):
            act("a")
