from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap

import pytest
from pyserve_stub import output
from pyserve_stub.host import Host, OfflineHost, set_host


@pytest.fixture
def pipe() -> tuple[output.Output, int]:
    reader, writer = os.pipe()
    stream = output.Output(writer)
    return stream, reader


def close(stream: output.Output, reader: int) -> bytes:
    """All that was written."""
    stream.flush()
    os.close(stream.fileno())
    output._streams.remove(stream)
    with open(reader, "rb") as file:
        return file.read()


def test_what_is_printed_is_marked_where_its_request_changes(pipe: tuple[output.Output, int]) -> None:
    stream, reader = pipe
    print("before", file=stream)
    output.begin(["a"])
    print("one", file=stream)
    print("two", file=stream)
    output.over()
    output.over()
    print("after", file=stream)
    output.begin(["b", "c\n\0\1d"])
    assert output.current_request() == "b,cd"
    print("three", file=stream)
    output.over()
    assert close(stream, reader) == b"before\n\0\1a\0one\ntwo\n\0\1\0after\n\0\1b,cd\0three\n\0\1\0"


def test_a_request_that_prints_nothing_leaves_no_mark(pipe: tuple[output.Output, int]) -> None:
    stream, reader = pipe
    output.begin(["a"])
    output.over()
    assert close(stream, reader) == b""


def test_coroutines_speak_for_the_request_that_started_them() -> None:
    async def main() -> list[str]:
        async def speak() -> str:
            await asyncio.sleep(0)
            return output.current_request()

        output.begin(["a"])
        first = asyncio.ensure_future(speak())
        output.begin(["b"])
        second = asyncio.ensure_future(speak())
        output.over()
        return [await first, await second, output.current_request()]

    assert asyncio.run(main()) == ["a", "b", ""]


def test_half_a_line_is_not_kept_back(pipe: tuple[output.Output, int]) -> None:
    stream, reader = pipe
    print("half", end="", file=stream)
    assert os.read(reader, 100) == b"half"
    print(" of it", end="", file=stream)
    assert os.read(reader, 100) == b" of it"
    assert close(stream, reader) == b""


def test_a_closed_stream_is_no_error(pipe: tuple[output.Output, int]) -> None:
    stream, reader = pipe
    output.begin(["a"])
    print("x", file=stream)
    stream.close()
    output.over()
    stream.flush_if_open()
    output._streams.remove(stream)
    os.close(reader)


class Told(Host):
    def __init__(self) -> None:
        super().__init__()
        self.log_lines: list[tuple[int, str, str]] = []

    def log(self, level: int, filename: str, line: int, message: str) -> None:
        self.log_lines.append((level, filename, message))


def test_records_that_nobody_handles_go_to_the_log() -> None:
    host, handler = Told(), output.LastResort(logging.WARNING)
    set_host(host)
    try:
        for level in (logging.WARNING, logging.ERROR, logging.CRITICAL):
            handler.handle(logging.LogRecord("n", level, "/a/b.py", 7, "x %d", (1,), None))
    finally:
        set_host(OfflineHost())
    assert host.log_lines == [(1, "b.py", "x 1"), (2, "b.py", "x 1"), (2, "b.py", "x 1")]


def test_a_models_own_handlers_are_left_alone() -> None:
    script = """
        import logging
        from pyserve_stub import output
        output.route_logging()
        logging.getLogger("a").warning("by the last resort")
        logging.basicConfig(level=logging.INFO, format="own: %(message)s")
        logging.getLogger("a").info("by the model")
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, capture_output=True, text=True, check=True
    )
    first, second = done.stderr.splitlines()
    assert first.endswith("]  by the last resort")
    assert second == "own: by the model"
