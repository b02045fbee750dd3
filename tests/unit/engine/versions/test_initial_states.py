from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyserve_stub.wire.datatypes import CODES

from jupyter_pyserve.engine.versions.initial_states import initial_states
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import parse_pbtxt


def described(folder: Path, initial: str = "", *, kind: str = "TYPE_INT16", dims: str = "-1, 2", size: int = 4) -> Any:
    state = f'state {{ input_name: "S" output_name: "T" data_type: {kind} dims: [ {dims} ] {initial} }}'
    text = f'backend: "python" max_batch_size: {size} sequence_batching {{ {state} }}'
    (found,) = initial_states(parse_pbtxt(text, model_name="m", path="p"), str(folder))
    return found


def from_file(folder: Path, contents: bytes, kind: str = "TYPE_INT16") -> Any:
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "f").write_bytes(contents)
    return described(
        folder, f'initial_state {{ name: "i" data_type: {kind} dims: [ 1, 2 ] data_file: "f" }}', kind=kind
    )


def test_what_nobody_describes_is_zeros(tmp_path: Path) -> None:
    assert described(tmp_path) == {
        "input": "S",
        "output": "T",
        "code": CODES["INT16"],
        "shape": (1, 1, 2),
        "data": None,
    }
    assert described(tmp_path, size=0)["shape"] == (1, 2)


def test_odd_states_that_triton_loads_too(tmp_path: Path) -> None:
    assert described(tmp_path, dims="-2, 3")["shape"] == (1, 1, 3)
    typeless = parse_pbtxt("sequence_batching { state { } }", model_name="m", path="p")
    assert initial_states(typeless, str(tmp_path)) == []


def test_zeros_have_the_dimensions_that_were_said(tmp_path: Path) -> None:
    found = described(tmp_path, 'initial_state { name: "i" data_type: TYPE_INT16 dims: [ 3, 2 ] zero_data: true }')
    assert (found["shape"], found["data"]) == ((1, 3, 2), None)


def test_files_hold_elements(tmp_path: Path) -> None:
    assert from_file(tmp_path, b"\1\0\2\0rest")["data"] == "01000200"


def test_files_of_strings_are_as_long_as_they_are(tmp_path: Path) -> None:
    assert from_file(tmp_path, b"\1\0\0\0a\0\0\0\0", "TYPE_STRING")["data"] == "010000006100000000"


def test_a_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadFailure) as caught:
        from_file(tmp_path, b"\1\0\2")
    assert caught.value.kind == "Invalid argument"
    assert caught.value.text == "initial_state setting expects 4 bytes, but the data provided from fonly has 3 bytes."


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadFailure, match=r"failed to open text file for read .*/initial_state/f: No such file"):
        described(tmp_path, 'initial_state { name: "i" data_type: TYPE_INT16 dims: [ 1, 2 ] data_file: "f" }')


def test_a_model_without_sequences_has_none() -> None:
    assert initial_states(parse_pbtxt('backend: "python"', model_name="m", path="p"), "/nowhere") == []
