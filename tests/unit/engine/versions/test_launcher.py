from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault
from jupyter_pyserve.engine.versions.launcher import Launcher, LoadFailure
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import parse_pbtxt

CONFIG = parse_pbtxt('backend: "python"', model_name="m", path="config.pbtxt")


class Instance:
    """Remembers its life; fails where it is told to."""

    name = "m_0"
    spec = SimpleNamespace(kind="CPU", device_id=0)

    greeting = SimpleNamespace(interpreter="/env/bin/python", python="3.9.18")

    def __init__(self, stuck: str = "", /, **failures: Exception) -> None:
        self.reported: list[str] = []
        self.failures = failures
        self.stuck = stuck
        self.life: list[tuple[str, Any]] = []
        self.process = self

    def _step(self, name: str, told: Any) -> None:
        if name in self.failures:
            raise self.failures[name]
        self.life.append((name, told))

    async def _stuck(self, name: str) -> None:
        if self.stuck == name:
            await asyncio.get_running_loop().create_future()

    def report(self, text: str) -> None:
        self.reported.append(text)

    async def epitaph(self) -> str:
        return "Stub process 'm_0' (pid 7) ended with exit status 127"

    async def start(self, model_file: str) -> None:
        self._step("start", model_file)

    def dump_stacks(self) -> None:
        self._step("dump_stacks", None)

    def kill(self) -> None:
        self._step("kill", None)

    async def gone(self) -> None:
        self._step("gone", None)

    async def load(self, arguments: dict[str, Any]) -> str | None:
        await self._stuck("load")
        self._step("load", arguments)
        return "completed" if arguments["auto_complete"] else None

    async def initialize(self, arguments: dict[str, Any], *, max_concurrency: int | None, arena: Any) -> None:
        await self._stuck("initialize")
        self._step("initialize", arguments["args"])


def launcher(environment: Any = None, *, logs: Any = None, start_timeout_s: int = 60) -> Launcher:
    return Launcher(
        context=cast(Any, SimpleNamespace(logs=logs)),
        owner=cast(Any, None),
        config=CONFIG,
        version=3,
        model_dir="/r/m",
        model_file="/r/m/3/model.py",
        args_config="{}",
        start_timeout_s=start_timeout_s,
        environment=environment,
    )


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_from_nothing_to_ready() -> None:
    instance = Instance()
    run(launcher().bring_up(cast(Any, instance), ()))
    assert [name for name, _ in instance.life] == ["start", "load", "initialize"]
    assert instance.life[0][1] == "/r/m/3/model.py"


def test_what_the_model_is_told() -> None:
    instance = Instance()
    run(launcher().initialize(cast(Any, instance), ()))
    assert instance.life == [
        (
            "initialize",
            {
                "model_config": "{}",
                "model_instance_kind": "CPU",
                "model_instance_name": "m_0",
                "model_instance_device_id": "0",
                "model_repository": "/r/m",
                "model_version": "3",
                "model_name": "m",
            },
        )
    ]


def test_what_auto_completion_made() -> None:
    assert run(launcher().import_model(cast(Any, Instance()), "{}")) == "completed"
    assert run(launcher().import_model(cast(Any, Instance()), None)) is None


@pytest.mark.parametrize("step", ["start", "load", "initialize"])
def test_a_stub_that_dies(step: str) -> None:
    with pytest.raises(LoadFailure) as failure:
        run(launcher().bring_up(cast(Any, Instance(**{step: StubDied()})), ()))
    assert failure.value.text == "Stub process 'm_0' is not healthy."
    assert failure.value.kind == "Internal"


@pytest.mark.parametrize(("step", "doing"), [("load", "importing"), ("initialize", "initializing")])
def test_a_stub_that_is_stuck_is_killed_and_says_where(step: str, doing: str) -> None:
    instance = Instance(step)
    work = launcher(start_timeout_s=0).import_model if step == "load" else launcher(start_timeout_s=0).initialize
    with pytest.raises(LoadFailure) as failure:
        run(work(cast(Any, instance), cast(Any, None)))
    assert failure.value.text.startswith(f"Stub process 'm_0' did not finish {doing} its model within 0 seconds")
    assert [name for name, _ in instance.life][-3:] == ["dump_stacks", "kill", "gone"]


def test_an_error_of_the_model_keeps_its_place() -> None:
    frame = {"file": "model.py", "line": 3}
    fault = StubFault({"text": "ValueError: no", "exception": "ValueError", "frames": [frame]})
    with pytest.raises(LoadFailure) as failure:
        run(launcher().bring_up(cast(Any, Instance(load=fault)), ()))
    assert (failure.value.text, failure.value.exception) == ("ValueError: no", "ValueError")
    assert failure.value.frames == [frame]


# -- environments -----------------------------------------------------------------------------------------------------


class OwnEnvironment:
    """One that can be prepared, unless it is told not to."""

    interpreter = "/env/bin/python"

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.life: list[str] = []

    async def prepare(self) -> None:
        self.life.append("prepare")
        if self.problem:
            raise PyServeError(Code.INTERNAL, self.problem)

    def close(self) -> None:
        self.life.append("close")


MISSING = StubFault({"text": "ModuleNotFoundError: No module named 'x'\n\nAt:\n  m(1): <module>\n", "missing": "x"})
WHERE = "The module 'x' is missing in the environment of /env/bin/python (CPython 3.9.18)."


def test_an_environment_is_there_before_the_process_is() -> None:
    environment = OwnEnvironment()
    made = launcher(environment)
    run(made.bring_up(cast(Any, Instance()), ()))
    assert environment.life == ["prepare"]
    made.close()
    assert environment.life == ["prepare", "close"]
    launcher().close()


def test_an_environment_that_cannot_be_used() -> None:
    instance = Instance()
    with pytest.raises(LoadFailure) as failure:
        run(launcher(OwnEnvironment("Failed to get the canonical path for x.")).bring_up(cast(Any, instance), ()))
    assert (failure.value.text, failure.value.kind) == ("Failed to get the canonical path for x.", "Internal")
    assert instance.life == []


def test_a_module_that_is_missing_in_an_environment_of_its_own() -> None:
    instance = Instance(load=MISSING)
    with pytest.raises(LoadFailure) as failure:
        run(launcher(OwnEnvironment()).bring_up(cast(Any, instance), ()))
    assert failure.value.text == f"{MISSING.text}\n{WHERE}"
    assert instance.reported == [WHERE]


def test_a_module_that_is_missing_in_ours_keeps_tritons_text() -> None:
    instance = Instance(load=MISSING)
    with pytest.raises(LoadFailure) as failure:
        run(launcher().bring_up(cast(Any, instance), ()))
    assert failure.value.text == MISSING.text
    assert instance.reported == [WHERE]


def test_the_last_words_of_an_interpreter_that_does_not_start() -> None:
    def record(instance: str, stream: str, text: str) -> Any:
        return SimpleNamespace(instance=instance, stream=stream, text=text)

    records = [
        record("m_0", "stderr", "libpython3.9.so.1.0: cannot open shared object file"),
        record("m_0", "log", "starts"),
        record("m_1", "stderr", "another's"),
    ]
    logs = SimpleNamespace(tail=lambda model, count: records)
    with pytest.raises(LoadFailure) as failure:
        run(launcher(OwnEnvironment(), logs=logs).bring_up(cast(Any, Instance(start=StubDied())), ()))
    assert failure.value.text == (
        "Stub process 'm_0' is not healthy.\n"
        "The interpreter /env/bin/python does not start: Stub process 'm_0' (pid 7) ended with exit status 127\n"
        "libpython3.9.so.1.0: cannot open shared object file"
    )
