"""Repositories that change, and what is loaded for it: looked at by hand, or on a clock of the test's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jupyter_pyserve.engine.repository.disk import Repositories
from jupyter_pyserve.engine.repository.polling import Poller, load_all
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity
from jupyter_pyserve.settings import EngineSettings

SETTINGS = EngineSettings(poll_interval_s=3.0, load_thread_count=2)
Sleep = Callable[[float], Awaitable[None]]


class Models:
    """A registry that writes down what it is told; a model whose name begins with `bad` cannot be loaded."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.loading = self.most = 0

    async def load_one(self, identity: Identity) -> None:
        self.loading += 1
        self.most = max(self.most, self.loading)
        await asyncio.sleep(0)
        self.loading -= 1
        self.told.append(f"load {identity.name}")
        if identity.name.startswith("bad"):
            raise PyServeError(Code.INTERNAL, f"{identity.name} is bad")

    async def forget(self, identity: Identity) -> None:
        self.told.append(f"forget {identity.name}")

    def take(self) -> list[str]:
        told, self.told = sorted(self.told), []
        return told


def write(root: Path, name: str, text: str = "") -> None:
    (root / name / "1").mkdir(parents=True, exist_ok=True)
    (root / name / "1" / "model.py").write_text(text)


def poller_of(models: Models, *roots: Path, sleep: Sleep = asyncio.sleep) -> Poller:
    return Poller(Repositories(tuple(map(str, roots))), models, SETTINGS, sleep=sleep)


def test_so_many_at_a_time() -> None:
    models = Models()
    names = [Identity("", name) for name in ("a", "bad", "c", "bad2", "e")]
    assert [item.name for item in asyncio.run(load_all(models, names, 2))] == ["bad", "bad2"]
    assert models.most == 2
    assert len(models.told) == 5


def test_a_repository_is_followed(tmp_path: Path) -> None:
    async def main() -> None:
        models = Models()
        poller = poller_of(models, tmp_path)
        write(tmp_path, "a")
        assert poller.start() == ([Identity("", "a")], [])
        assert (await poller.look(), models.take()) == (False, [])
        write(tmp_path, "b")
        write(tmp_path, "a", "changed")
        assert (await poller.look(), models.take()) == (True, [])
        assert (await poller.look(), models.take()) == (False, ["load a", "load b"])
        (tmp_path / "a" / "1" / "__pycache__").mkdir()
        (tmp_path / "a" / "1" / "__pycache__" / "model.pyc").touch()
        (tmp_path / ".ipynb_checkpoints").mkdir()
        assert (await poller.look(), models.take()) == (False, [])
        (tmp_path / "b" / "1" / "model.py").unlink()
        (tmp_path / "b" / "1").rmdir()
        (tmp_path / "b").rmdir()
        await poller.look()
        assert (await poller.look(), models.take()) == (False, ["forget b"])

    asyncio.run(main())


def test_what_cannot_be_loaded_is_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        models = Models()
        poller = poller_of(models, tmp_path)
        write(tmp_path, "bad")
        poller.tried(poller.start()[0], [Identity("", "bad")])
        await poller.look(retry=False)
        assert models.take() == []
        await poller.look()
        await poller.look()
        assert models.take() == ["load bad", "load bad"]

    asyncio.run(main())


def test_a_name_that_comes_to_be_in_two_repositories_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        models = Models()
        poller = poller_of(models, tmp_path / "one", tmp_path / "two")
        write(tmp_path / "one", "m")
        poller.start()
        write(tmp_path / "two", "m")
        for _ in range(3):
            await poller.look()
        assert models.take() == ["forget m"]

    asyncio.run(main())
    assert caplog.messages == ["failed to poll model 'm': not unique across all model repositories"]


class _Over(BaseException):
    """The clock of a test has stopped."""


def test_what_is_being_written_is_looked_at_soon_and_then_ever_later(tmp_path: Path) -> None:
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        if len(waits) == 10:
            raise _Over
        if 2 <= len(waits) <= 8:
            write(tmp_path, "a", "x" * len(waits))

    async def main() -> None:
        poller = poller_of(Models(), tmp_path, sleep=sleep)
        poller.start()
        with pytest.raises(_Over):
            await poller.run()

    asyncio.run(main())
    assert waits == [3.0, 3.0, 0.25, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0]


def test_a_look_that_fails_is_not_the_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        if len(waits) == 3:
            raise _Over

    class Failing(Repositories):
        def places(self) -> dict[Identity, list[str]]:
            raise OSError("the disk is away")

    async def main() -> None:
        with pytest.raises(_Over):
            await Poller(Failing((str(tmp_path),)), Models(), SETTINGS, sleep=sleep).run()

    asyncio.run(main())
    assert waits == [3.0, 3.0, 3.0]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]


def test_what_failed_is_not_tried_again_while_another_is_being_written(tmp_path: Path) -> None:
    models, waits, told = Models(), [], []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        told.append(models.take())
        if len(waits) == 4:
            raise _Over
        if len(waits) <= 2:
            write(tmp_path, "a", "x" * len(waits))

    async def main() -> None:
        write(tmp_path, "bad")
        poller = poller_of(models, tmp_path, sleep=sleep)
        poller.tried(poller.start()[0], [Identity("", "bad")])
        with pytest.raises(_Over):
            await poller.run()

    asyncio.run(main())
    assert list(zip(waits, told, strict=True)) == [
        (3.0, []),
        (0.25, ["load bad"]),
        (0.5, []),
        (3.0, ["load a"]),
    ]
