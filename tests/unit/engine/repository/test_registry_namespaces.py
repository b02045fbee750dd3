"""The same names in several repositories: who is meant, and of whom ensembles are made."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.ensembles.ensemble import EnsembleVersion
from jupyter_pyserve.engine.repository import starting as module
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import EngineSettings
from tests.unit.engine.repository.registries import BAD, CONFIG, GOOD, FakeServable, Play, on, write_model

TENSORS = """
input { name: "X" data_type: TYPE_FP32 dims: 1 }
output { name: "Y" data_type: TYPE_FP32 dims: 1 }
"""
ENSEMBLE = """platform: "ensemble"
ensemble_scheduling {
  step { model_name: "%s" model_version: -1 %s input_map { key: "X" value: "X" } output_map { key: "Y" value: "Y" } }
}
"""
AMBIGUOUS = "There are 2 identifiers of model 'm' in global map, model namespace must be provided to resolve ambiguity."


class Served(FakeServable):
    """Ends as soon as it is let go."""

    async def drain(self, timeout_s: float) -> None:
        """Nobody asks it anything."""


class Bench:
    """A registry over the repositories `a` and `b`."""

    def __init__(self, root: Path) -> None:
        self.a, self.b = (str(root / name) for name in "ab")
        settings = EngineSettings(model_repositories=(self.a, self.b), exit_timeout_s=0.0, model_namespacing=True)
        self.registry = Registry(
            cast(Any, SimpleNamespace(settings=settings, regions=None, cache=None, traces=TraceBook())), lambda: None
        )

    def write(self, repository: str, name: str, source: str = GOOD, config: str = CONFIG) -> None:
        write_model(Path(repository, name), source, config + TENSORS)

    def ensemble(self, repository: str, name: str, member: str, namespace: str = "") -> None:
        where = f'model_namespace: "{namespace}"' if namespace else ""
        self.write(repository, name, config=ENSEMBLE % (member, where))

    async def load(self, *names: str) -> None:
        for name in names:
            await self.registry.load(name)

    async def load_in_both(self) -> None:
        """A model `m` in each, and the ensembles `ea` and `eb` of it."""
        self.write_in_both()
        await self.load("ea", "eb")

    def write_in_both(self) -> None:
        for repository in (self.a, self.b):
            self.write(repository, "m")
            self.ensemble(repository, f"e{repository[-1]}", "m")

    def where(self, name: str) -> str:
        """In which repository the model of that name, or the member of that ensemble, is."""
        found = self.registry.lookup(name)
        found = found.members[0] if isinstance(found, EnsembleVersion) else found
        return {self.a: "a", self.b: "b"}[found.namespace]

    def refusal(self, name: str) -> tuple[Code, str]:
        with pytest.raises(PyServeError) as refused:
            self.registry.lookup(name)
        return refused.value.code, refused.value.message

    def rows(self) -> list[tuple[str, str]]:
        return [(row["name"], row.get("state", "")) for row in self.registry.index()]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play[Bench]:
    monkeypatch.setattr(module, "new_servable", Served)
    return on(lambda: Bench(tmp_path))


def test_who_has_a_name_of_its_own_is_found_by_it(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write(bench.a, "only_a")
        bench.write(bench.b, "only_b")
        await bench.load("only_a", "only_b")
        assert (bench.where("only_a"), bench.where("only_b")) == ("a", "b")
        assert bench.refusal("m") == (Code.NOT_FOUND, "Identifier of model 'm' is not found in global map")

    play(scenario)


def test_a_name_that_several_have_means_none(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write(bench.a, "m")
        bench.write(bench.b, "m")
        assert bench.rows() == [("m", ""), ("m", "")]
        await bench.registry.load("m")
        assert bench.rows() == [("m", "READY"), ("m", "READY")]
        assert bench.refusal("m") == (Code.INVALID_ARG, AMBIGUOUS)
        await bench.registry.unload("m")
        assert bench.refusal("m")[0] is Code.NOT_FOUND
        shutil.rmtree(f"{bench.b}/m")
        await bench.registry.load("m")
        assert bench.where("m") == "a"

    play(scenario)


def test_one_that_cannot_be_loaded_is_named_with_its_repository(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write(bench.a, "m")
        bench.write(bench.b, "m", BAD)
        with pytest.raises(PyServeError) as refused:
            await bench.registry.load("m")
        assert refused.value.message.startswith(f"load failed for model '{bench.b}::m': version 1 is at UNAVAILABLE")
        assert bench.rows() == [("m", "READY"), ("m", "UNAVAILABLE")]
        assert bench.refusal("m") == (Code.INVALID_ARG, AMBIGUOUS)

    play(scenario)


def test_an_ensemble_is_made_of_what_is_near(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write_in_both()
        bench.write(bench.b, "only_b")
        bench.ensemble(bench.a, "far", "only_b")
        bench.ensemble(bench.a, "named", "m", bench.b)
        await bench.load("ea", "eb", "far", "named")
        assert [bench.where(name) for name in ("ea", "eb", "far", "named")] == ["a", "b", "b", "b"]
        steps = bench.registry.lookup("far").config.to_json_dict()["ensemble_scheduling"]["step"]
        assert steps[0]["model_namespace"] == bench.b

    play(scenario)


@pytest.mark.parametrize("namespace", ["", "nowhere"])
def test_a_member_that_is_not_there(play: Play[Bench], namespace: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.ensemble(bench.a, "e", "m", namespace)
        if namespace:
            bench.write(bench.a, "m")
        with pytest.raises(PyServeError, match="ensemble e contains models that are not available or ambiguous: m"):
            await bench.registry.load("e")

    play(scenario)


def test_an_ensemble_follows_its_members(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.load_in_both()
        assert (bench.where("ea"), bench.where("eb")) == ("a", "b")
        served = bench.registry.lookup("ea")
        away = f"{bench.a}-away"
        shutil.move(f"{bench.a}/m", away)
        await bench.registry.load("ea")
        assert [bench.where(name) for name in ("ea", "eb", "m")] == ["b", "b", "b"]
        assert bench.registry.lookup("ea") is served  # no request has found it missing
        shutil.move(away, f"{bench.a}/m")
        await bench.registry.load("ea")
        assert (bench.where("ea"), bench.where("eb")) == ("a", "b")
        assert bench.refusal("m") == (Code.INVALID_ARG, AMBIGUOUS)

    play(scenario)


def test_members_go_with_an_ensemble_where_they_are(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.load_in_both()
        await bench.registry.unload("eb", with_members=True)
        assert (bench.where("ea"), bench.where("m")) == ("a", "a")

    play(scenario)
