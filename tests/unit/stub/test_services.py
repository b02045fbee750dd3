from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub import services
from pyserve_stub.host import Host
from pyserve_stub.services import Logger, SharedMemory, is_model_ready, load_model, unload_model
from pyserve_stub.vocabulary import CAST_FAILED, TritonModelException

from tests.unit.stub.hosting import in_charge


class FakeHost(Host):
    """Notes every call; refuses model control when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.refuses = ""

    def note(self, *call: object) -> None:
        self.calls.append(call)
        if self.refuses:
            raise self.refusal(self.refuses)

    def log(self, level: int, filename: str, line: int, message: str) -> None:
        self.note(level, filename, message)

    def load_model(self, name: str, config: str, files: dict[str, bytes] | None) -> None:
        self.note("load", name, config, files)

    def unload_model(self, name: str, unload_dependents: bool) -> None:
        self.note("unload", name, unload_dependents)

    def is_model_ready(self, name: str, version: str) -> bool:
        self.note("ready", name, version)
        return True

    def free_memory(self) -> int:
        return 99


@pytest.fixture(autouse=True)
def host() -> Iterator[FakeHost]:
    with in_charge(FakeHost()) as fake:
        yield fake


def test_messages_go_out_with_their_level_and_the_callers_file(host: FakeHost) -> None:
    Logger.log("a")
    Logger.log(level=Logger.ERROR, message=b"b")
    Logger.log_info("c")
    Logger.log_warn("d")
    Logger.log_error("e")
    Logger.log_verbose(message="f")
    here = "test_services.py"
    assert host.calls == [(level, here, text) for level, text in zip((0, 2, 0, 1, 2, 3), "abcdef")]


def test_messages_carry_the_callers_line(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[int] = []
    monkeypatch.setattr(FakeHost, "log", lambda self, level, filename, line, message: lines.append(line))
    Logger.log_info("x")
    Logger.log("x")
    first = test_messages_carry_the_callers_line.__code__.co_firstlineno
    assert lines == [first + 3, first + 4]


@pytest.mark.parametrize(
    ("name", "args", "signature"),
    [
        ("log", ("x", 1), "message: str, level: c_python_backend_utils.Logger.LogLevel = <LogLevel.INFO: 0>"),
        ("log", (3,), "message: str, level: c_python_backend_utils.Logger.LogLevel = <LogLevel.INFO: 0>"),
        ("log", ("x", None), "message: str, level: c_python_backend_utils.Logger.LogLevel = <LogLevel.INFO: 0>"),
        ("log_info", (None,), "message: str"),
        ("log_warn", (), "message: str"),
        ("log_error", ("x", "y"), "message: str"),
        ("log_verbose", (1,), "message: str"),
    ],
)
def test_messages_are_text(host: FakeHost, name: str, args: Any, signature: str) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(Logger, name)(*args)
    assert str(caught.value) == (
        f"{name}(): incompatible function arguments. The following argument types are supported:\n"
        f"    1. ({signature}) -> None\n\nInvoked with: {', '.join(map(repr, args))}"
    )
    assert host.calls == []


@pytest.mark.parametrize("native", [Logger, SharedMemory])
def test_some_are_not_made_by_models(native: type) -> None:
    with pytest.raises(TypeError, match=rf"^c_python_backend_utils\.{native.__name__}: No constructor defined!$"):
        native()


def test_model_control_is_passed_on(host: FakeHost) -> None:
    load_model("m")
    load_model(model_name=b"m", config="{}", files={"file:1/model.py": b"x"})
    unload_model("m")
    unload_model("m", unload_dependents=True)
    assert is_model_ready("m", "1") is True
    assert host.calls == [
        ("load", "m", "", None),
        ("load", "m", "{}", {"file:1/model.py": b"x"}),
        ("unload", "m", False),
        ("unload", "m", True),
        ("ready", "m", "1"),
    ]


@pytest.mark.parametrize(
    ("name", "args", "text"),
    [
        ("load_model", (3,), "(model_name: str, config: str = '', files: object = None) -> None"),
        ("load_model", ("x", {}), "(model_name: str, config: str = '', files: object = None) -> None"),
        ("unload_model", (None,), "(model_name: str, unload_dependents: bool = False) -> None"),
        ("is_model_ready", ("x", 1), "(model_name: str, model_version: str = '') -> bool"),
    ],
)
def test_model_control_takes_text(name: str, args: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(services, name)(*args)
    assert f"\n    1. {text}\n" in str(caught.value)


@pytest.mark.parametrize(
    ("files", "error", "text"),
    [
        (
            3,
            TritonModelException,
            "failed to load model 'x', files should be a dictionary of file paths and file contents",
        ),
        ({"file:a": "text"}, TypeError, "Object of type 'str' is not an instance of 'bytes'"),
        ({3: b"x"}, RuntimeError, CAST_FAILED),
    ],
)
def test_files_are_bytes_by_path(host: FakeHost, files: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as caught:
        load_model("x", "{}", files)
    assert str(caught.value) == text
    assert host.calls == []


@pytest.mark.parametrize(
    ("call", "purpose"),
    [
        (load_model, "Failed to load model"),
        (unload_model, "Failed to unload model"),
        (is_model_ready, "Failed to check model readiness"),
    ],
)
def test_what_the_server_refuses_is_told(host: FakeHost, call: Any, purpose: str) -> None:
    host.refuses = "no."
    with pytest.raises(TritonModelException) as caught:
        call("x")
    assert str(caught.value) == f"{purpose}: Failed to process the request for model 'offline', message: no."


def test_free_memory_is_asked() -> None:
    assert SharedMemory.__new__(SharedMemory).free_memory() == 99


def test_the_callback_is_there() -> None:
    assert services.async_event_future_done_callback(None) is None  # type: ignore[func-returns-value]
