from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_pyserve.engine.tracing.files import TraceFiles
from jupyter_pyserve.telemetry.traces import Front, Part, TraceRecord


def record(number: int) -> TraceRecord:
    part = Part(id=number, parent_id=0, model="m", version=1)
    return TraceRecord(levels=("TIMESTAMPS",), front=Front.LANE, received_ns=(0, 0), parts=[part])


def ids(path: Path) -> list[int]:
    found: list[int] = sorted({item["id"] for item in json.loads(path.read_text())})
    return found


def test_a_file_grows_and_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("of another run")
    with ThreadPoolExecutor(1) as executor:
        files = TraceFiles(str(path), executor)
        for numbers in ([1, 2], [3]):
            files.write([record(number) for number in numbers], indexed=False)
            executor.submit(int).result()
            assert ids(path) == list(range(1, numbers[-1] + 1))


def test_numbered_files(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with ThreadPoolExecutor(1) as executor:
        files = TraceFiles(str(path), executor)
        files.write([record(1)], indexed=True)
        files.write([record(2)], indexed=False)
        files.write([record(3)], indexed=True)
    assert [ids(tmp_path / name) for name in ("t.json.0", "t.json", "t.json.1")] == [[1], [2], [3]]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1) as executor:
        TraceFiles(str(tmp_path / "none" / "t.json"), executor).write([record(1)], indexed=False)
    assert "failed creating trace file" in caplog.text


def test_what_is_no_text_is_written_somehow(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        files = TraceFiles(str(tmp_path / "t.json"), executor)
        for number in (1, 2):
            odd = record(number)
            odd.parts[0].request_id = "\ud800"
            files.write([odd], indexed=False)
    assert ids(tmp_path / "t.json") == [1, 2]
