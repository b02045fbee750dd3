from __future__ import annotations

import asyncio
import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyserve_stub.faults import Fault, describe, standard_traceback
from pyserve_stub.services import unload_model
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import TritonModelException

HERE = __file__


def line_of(function: Callable[..., Any], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


def fault_of(function: Callable[[], Any], error: type[BaseException] = ValueError) -> Fault:
    """What is said of the exception, less the frame of this function, which is not the model's."""
    with pytest.raises(error) as caught:
        function()
    trace = caught.value.__traceback__
    assert trace is not None
    return describe(caught.value.with_traceback(trace.tb_next))


def inner() -> None:
    raise ValueError("boom")


def outer() -> None:
    inner()


def test_frames_are_listed_innermost_first_in_the_text_and_outermost_first_as_data() -> None:
    fault = fault_of(outer)
    first, second = line_of(outer, 1), line_of(inner, 1)
    assert fault.text == f"ValueError: boom\n\nAt:\n  {HERE}({second}): inner\n  {HERE}({first}): outer\n"
    assert fault.exc_type == "ValueError"
    assert [tuple(frame) for frame in fault.frames] == [
        (HERE, first, "outer", "inner()"),
        (HERE, second, "inner", 'raise ValueError("boom")'),
    ]


def test_without_frames_there_is_no_block() -> None:
    assert describe(ValueError("x")) == Fault("ValueError: x", "ValueError", ())


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (ValueError(), "ValueError: <EMPTY MESSAGE>"),
        (KeyError("k"), "KeyError: 'k'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: <EMPTY MESSAGE>"),
        (OSError(2, "No such file"), "OSError: [Errno 2] No such file".replace("OSError", "FileNotFoundError")),
        (asyncio.CancelledError(), "CancelledError: <EMPTY MESSAGE>"),
    ],
)
def test_messages(exc: BaseException, text: str) -> None:
    assert describe(exc).text == text


def test_an_exception_that_cannot_say_its_message() -> None:
    assert describe(UnprintableError()).text == (
        "UnprintableError: <MESSAGE UNAVAILABLE DUE TO ANOTHER EXCEPTION>\n"
        "MESSAGE UNAVAILABLE DUE TO EXCEPTION: RuntimeError: no\n\nAt:\n"
        f"  {HERE}({line_of(UnprintableError.__str__, 1)}): __str__\n"
    )


def empty_name() -> None:
    Tensor("", None)


def unknown_model() -> None:
    unload_model("x")


@pytest.mark.parametrize(("call", "error"), [(empty_name, TypeError), (unknown_model, TritonModelException)])
def test_frames_of_the_surface_do_not_show(call: Callable[[], Any], error: type[Exception]) -> None:
    fault = fault_of(call, error)
    assert [frame.function for frame in fault.frames] == [call.__name__]
    assert fault.text.endswith(f"\n\nAt:\n  {HERE}({line_of(call, 1)}): {call.__name__}\n")


def run_as(package: str) -> Callable[..., Any]:
    """A function of that package, in the module that the process was started with, which calls its argument."""
    scope: dict[str, Any] = {"__name__": "__main__", "__package__": package}
    exec(compile("def run(call):\n    call()\n", "anywhere.py", "exec"), scope)
    run: Callable[..., Any] = scope["run"]
    return run


async def coroutine() -> None:
    raise ValueError("late")


def test_of_a_coroutine_only_its_own_frames_show() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine(), loop)
        fault = fault_of(functools.partial(run_as("pyserve_stub"), future.result))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert fault.text == f"ValueError: late\n\nAt:\n  {HERE}({line_of(coroutine, 1)}): coroutine\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def import_fault(name: str, error: type[BaseException]) -> Fault:
    importlib.invalidate_caches()
    return fault_of(functools.partial(importlib.import_module, name), error)


def test_an_import_shows_the_modules_and_not_the_machinery(package: Path) -> None:
    (package / "faulty_model.py").write_text("import faulty_helper\n", encoding="utf-8")
    (package / "faulty_helper.py").write_text("x = 1\n1 / 0\n", encoding="utf-8")
    fault = import_fault("faulty_model", ZeroDivisionError)
    model, helper = str(package / "faulty_model.py"), str(package / "faulty_helper.py")
    assert (
        fault.text == f"ZeroDivisionError: division by zero\n\nAt:\n  {helper}(2): <module>\n  {model}(1): <module>\n"
    )
    assert [tuple(frame) for frame in fault.frames] == [
        (model, 1, "<module>", "import faulty_helper"),
        (helper, 2, "<module>", "1 / 0"),
    ]


def test_a_syntax_error_has_no_block_but_a_place(package: Path) -> None:
    (package / "model.py").write_text("def f(:\n", encoding="utf-8")
    fault = import_fault("model", SyntaxError)
    assert fault.text.endswith(" (model.py, line 1)")
    assert fault.text.startswith("SyntaxError: ")
    assert [tuple(frame) for frame in fault.frames] == [(str(package / "model.py"), 1, "<module>", "def f(:")]


def test_syntax_of_what_is_no_file_has_no_place() -> None:
    fault = fault_of(lambda: compile("def f(:", "<string>", "exec"), SyntaxError)
    assert {frame.file for frame in fault.frames} == {HERE}


def test_frames_of_a_zip_or_a_main_module_are_recognised_by_their_package() -> None:
    own, other = run_as("pyserve_stub"), run_as("pyserve_stubborn")
    assert [frame.function for frame in fault_of(functools.partial(own, inner)).frames] == ["inner"]
    assert [frame.function for frame in fault_of(functools.partial(other, inner)).frames] == ["run", "inner"]


def test_the_standard_traceback_begins_where_the_model_does() -> None:
    with pytest.raises(ValueError, match="boom") as caught:
        outer()
    text = standard_traceback(caught.value)
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: boom"
    assert os.path.basename(HERE) in lines[1]
