from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.launcher import Launcher, LoadFailure
from jupyter_pyserve.engine.stub_faults import StubDied, StubFault
from jupyter_pyserve.model.config import parse_pbtxt

CONFIG = parse_pbtxt('backend: "python"', model_name="m", path="config.pbtxt")


class Instance:
    """Remembers its life; fails where it is told to."""

    name = "m_0"
    spec = SimpleNamespace(kind="CPU", device_id=0)

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.life: list[tuple[str, Any]] = []

    def _step(self, name: str, told: Any) -> None:
        if name in self.failures:
            raise self.failures[name]
        self.life.append((name, told))

    async def start(self, model_file: str) -> None:
        self._step("start", model_file)

    async def load(self, arguments: dict[str, Any]) -> str | None:
        self._step("load", arguments)
        return "completed" if arguments["auto_complete"] else None

    async def initialize(self, args: dict[str, str], *, decoupled: bool, arena: Any) -> None:
        self._step("initialize", args)


def launcher() -> Launcher:
    return Launcher(
        context=cast(Any, None),
        owner=cast(Any, None),
        config=CONFIG,
        version=3,
        model_dir="/r/m",
        model_file="/r/m/3/model.py",
        args_config="{}",
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


def test_an_error_of_the_model_keeps_its_place() -> None:
    frame = {"file": "model.py", "line": 3}
    fault = StubFault({"text": "ValueError: no", "exception": "ValueError", "frames": [frame]})
    with pytest.raises(LoadFailure) as failure:
        run(launcher().bring_up(cast(Any, Instance(load=fault)), ()))
    assert (failure.value.text, failure.value.exception) == ("ValueError: no", "ValueError")
    assert failure.value.frames == [frame]
