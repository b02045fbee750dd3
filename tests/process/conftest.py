"""One engine for all tests that leave it alive, and the check that each of them leaves it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.process import machine
from tests.process.engine import Engine, Server, running_engine
from tests.process.leaks import LeakCheck
from tests.process.repository import add_model

_numbers = count(1)


class Keeper:
    """Keeps an engine running from test to test; one that a test has spoilt is thrown away."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._kept: tuple[Engine, LeakCheck] | None = None

    def get(self) -> tuple[Engine, LeakCheck]:
        if self._kept is None:
            engine = self._stack.enter_context(running_engine())
            self._kept = engine, LeakCheck(engine)
        return self._kept

    def end(self) -> None:
        """After all tests: it ends as it should, and all that it started with it."""
        if self._kept is not None:
            engine, _ = self._kept
            seen = engine.tree()
            assert engine.stop() == 0
            assert all(machine.is_gone(pid) for pid in seen)

    def discard(self) -> None:
        self._kept = None
        self._stack.close()


@pytest.fixture(scope="session")
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    yield keeper
    try:
        keeper.end()
    finally:
        keeper.discard()


@pytest.fixture
def engine(keeper: Keeper, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine that tests share; nothing of this test may be left in it afterwards."""
    engine, leaks = keeper.get()
    failed_before = request.session.testsfailed
    try:
        yield engine
        if request.session.testsfailed == failed_before:
            leaks.check()
    except BaseException:
        keeper.discard()
        raise
    if request.session.testsfailed != failed_before:
        keeper.discard()


@pytest.fixture
def fresh_engine() -> Iterator[Engine]:
    """An engine for tests that end it."""
    with running_engine() as engine:
        yield engine


@pytest.fixture
def puppet(engine: Engine) -> str:
    """The name of a loaded puppet with one instance."""
    return loaded(engine, "puppet")


def loaded(engine: Engine, model: str, *, instances: int = 1, extra: str = "") -> str:
    """Load one of our models under a name that nobody else has."""
    name = f"{model}{next(_numbers)}"
    add_model(engine.repository, model, name, instances=instances, extra=extra)
    engine.load(name)
    return name


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts `serve` for a repository; whatever still runs is ended afterwards."""
    servers: list[Server] = []

    def start(repository: Path, *arguments: str) -> Server:
        server = Server(repository, tmp_path / f"serve-{len(servers)}.log", arguments)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
