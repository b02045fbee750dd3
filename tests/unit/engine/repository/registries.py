"""Registries over folders of models whose servables do as their sources say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import Identity
from jupyter_pyserve.model.lifecycle import VersionState
from jupyter_pyserve.model.signature import Signature

GOOD, BAD = "# good\n", "raise\n"
CONFIG = 'backend: "python"\n'


class FakeServable:
    """Loads unless its source says `raise`; ends only when it is let go."""

    def __init__(self, context: Any, config: Any, version: int, model_dir: str) -> None:
        self.name, self.version = config.name, version
        self.source = Path(model_dir, str(version), "model.py").read_text()
        self.namespace = ""
        self.members = ()
        self.signature = Signature.from_config(config)
        self.state = VersionState.UNAVAILABLE
        self.reason = ""
        self.source_config = config
        self.instances_fail = False
        self.drained = asyncio.get_running_loop().create_future()
        self.stopped = False

    @property
    def identity(self) -> Identity:
        return Identity(self.namespace, self.name)

    async def start(self, progress: Any) -> None:
        await asyncio.sleep(0)
        if self.source.startswith("raise"):
            raise LoadFailure("ValueError: no", exception="ValueError", frames=[{"line": 1}])
        self.state = VersionState.READY

    async def update(self, config: Any) -> None:
        if self.instances_fail:
            raise LoadFailure("ValueError: no more")
        self.source_config = config

    async def updated(self) -> None:
        pass

    def abandon_update(self) -> None:
        self.instances_fail = True

    @property
    def count(self) -> int:
        count: int = self.source_config.instance_groups[0].count
        return count

    async def drain(self, timeout_s: float) -> None:
        await self.drained

    async def stop(self, timeout_s: float) -> None:
        self.stopped = True


class HasRegistry(Protocol):
    """What scenarios are played on."""

    @property
    def registry(self) -> Registry:
        """As it is at the end."""


BenchT = TypeVar("BenchT", bound=HasRegistry)
Play = Callable[[Callable[[BenchT], Awaitable[None]]], None]


def on(make: Callable[[], BenchT]) -> Play[BenchT]:
    """Plays scenarios, each on a bench of its own."""

    def run(scenario: Callable[[BenchT], Awaitable[None]]) -> None:
        async def main() -> None:
            bench = make()
            await scenario(bench)
            await bench.registry.close()

        asyncio.run(main())

    return run


def write_model(folder: Path, source: str, config: str, version: int = 1) -> None:
    """A model's directory."""
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    (folder / str(version) / "model.py").write_text(source)
    (folder / "config.pbtxt").write_text(config)
