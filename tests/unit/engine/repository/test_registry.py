from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.repository import starting as module
from jupyter_pyserve.engine.repository.directory import parse_version
from jupyter_pyserve.engine.repository.disk import Deployment
from jupyter_pyserve.engine.repository.load_errors import DeployFailure
from jupyter_pyserve.engine.repository.overrides import Homes, Override
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity
from jupyter_pyserve.model.lifecycle import VersionState
from jupyter_pyserve.settings import EngineSettings
from tests.support.turning import until
from tests.unit.engine.repository.registries import BAD, CONFIG, GOOD, FakeServable, Play, on, write_model

BACKEND = '{"backend":"python"}'


class Bench:
    """A registry over a folder of models."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changes = 0
        self.homes = root.parent / f"{root.name}-homes"
        self.homes.mkdir()
        self.settings()

    def settings(self, **settings: Any) -> None:
        """The registry from now on is one with these settings."""
        made = EngineSettings(model_repositories=(str(self.root),), exit_timeout_s=0.0, **settings)
        self.registry = Registry(cast(Any, SimpleNamespace(settings=made)), self._changed, Homes(str(self.homes)))

    def _changed(self) -> None:
        self.changes += 1

    def write(self, name: str, source: str = GOOD, version: int = 1, config: str = CONFIG) -> None:
        write_model(self.root / name, source, config, version)

    async def loaded(self, name: str, source: str = GOOD, version: int = 1, config: str = CONFIG) -> FakeServable:
        """A model that was written and loaded."""
        self.write(name, source, version, config)
        await self.registry.load(name)
        return self.find(name)

    def find(self, name: str, version: str = "") -> FakeServable:
        return cast(FakeServable, self.registry.lookup(name, version))

    def rows(self) -> list[dict[str, str]]:
        return self.registry.index()

    async def deploy(self, source: str, name: str = "m") -> bool:
        deployment = Deployment(str(self.root), name, source, CONFIG)
        return (await self.registry.deploy(deployment, lambda stage, instance: None, "a.ipynb"))[1]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play[Bench]:
    monkeypatch.setattr(module, "new_servable", FakeServable)
    return on(lambda: Bench(tmp_path))


def test_load_and_find(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m")
        assert bench.rows() == [{"name": "m"}]
        await bench.registry.load("m")
        assert bench.find("m").version == 1
        assert bench.find("m", "1") is bench.find("m")
        assert bench.rows() == [{"name": "m", "version": "1", "state": "READY"}]
        assert bench.changes == 1

    play(scenario)


def test_a_model_that_is_about_to_load_is_not_unknown(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m")
        directory = bench.registry
        prefix = "Request for unknown model: 'm' "
        for undecided, starting, code, text in (
            (True, set[str](), Code.UNAVAILABLE, prefix + "is not at ready state: the server is starting"),
            (False, {"m"}, Code.UNAVAILABLE, prefix + "is not at ready state: it is being loaded"),
            (False, set[str](), Code.NOT_FOUND, prefix + "is not found"),
        ):
            directory.undecided, directory.starting = undecided, starting
            with pytest.raises(PyServeError) as raised:
                bench.find("m")
            assert (raised.value.code, str(raised.value)) == (code, text)
        directory.undecided = True
        await directory.load("m")
        assert bench.find("m").version == 1

    play(scenario)


def test_the_highest_version_unless_asked(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        for version in (1, 2, 10):
            await bench.loaded("m", version=version, config=CONFIG + "version_policy { all { } }")
        assert (bench.find("m").version, bench.find("m", "2").version) == (10, 2)
        assert [row["version"] for row in bench.rows()] == ["1", "2", "10"]

    play(scenario)


@pytest.mark.parametrize(
    ("name", "version", "code", "text"),
    [
        ("x", "", Code.NOT_FOUND, "Request for unknown model: 'x' is not found"),
        ("m", "7", Code.NOT_FOUND, "Request for unknown model: 'm' version 7 is not found"),
        ("bad", "", Code.NOT_FOUND, "Request for unknown model: 'bad' has no available versions"),
        ("bad", "1", Code.UNAVAILABLE, "Request for unknown model: 'bad' version 1 is not at ready state"),
        ("m", "9" * 30, Code.INVALID_ARG, "(details: stol)"),
    ],
)
def test_what_cannot_be_found(play: Play[Bench], name: str, version: str, code: Code, text: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m")
        bench.write("bad", BAD)
        await bench.registry.load("m")
        with pytest.raises(PyServeError):
            await bench.registry.load("bad")
        with pytest.raises(PyServeError) as failure:
            bench.find(name, version)
        assert failure.value.code is code
        assert text in failure.value.message

    play(scenario)


def test_an_unchanged_model_is_not_loaded_again(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.loaded("m")
        await bench.registry.load("m")
        assert bench.find("m") is first
        await bench.loaded("m", GOOD * 2)
        assert bench.find("m") is not first
        assert not first.stopped
        first.drained.set_result(None)
        await until(lambda: first.stopped)

    play(scenario)


THREE = CONFIG + "instance_group { count: 3 }"
ALL = CONFIG + "version_policy { all { } }"


def test_other_instances_are_had_in_place(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.loaded("m")
        (bench.root / "m" / "config.pbtxt").write_text(THREE)
        await bench.registry.load("m")
        assert (bench.find("m") is first, first.count) == (True, 3)
        instances = [{"count": 2, "kind": "KIND_CPU"}]
        await other_config(bench, default_model_filename="model.py", instance_group=instances)
        assert (bench.find("m") is first, first.count) == (True, 2)

    play(scenario)


@pytest.mark.parametrize(
    ("source", "config"), [(GOOD * 2, THREE), (GOOD, THREE + "max_batch_size: 1")], ids=["file", "config"]
)
def test_a_version_is_loaded_anew_when_more_has_changed(play: Play[Bench], source: str, config: str) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.loaded("m")
        if source != GOOD:
            bench.write("m", source)
        (bench.root / "m" / "config.pbtxt").write_text(config)
        await bench.registry.load("m")
        assert bench.find("m") is not first
        first.drained.set_result(None)

    play(scenario)


def test_versions_come_and_go_beside_one_that_stays(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m", version=1, config=ALL)
        await bench.loaded("m", version=2, config=ALL)
        first, second = bench.find("m", "1"), bench.find("m", "2")
        (bench.root / "m" / "config.pbtxt").write_text(CONFIG)  # the latest only
        await bench.registry.load("m")
        assert (bench.find("m") is second, second.stopped) == (True, False)
        assert bench.rows()[0]["state"] == "UNLOADING"
        first.drained.set_result(None)
        await until(lambda: bench.rows()[0].get("reason") == "unloaded")
        (bench.root / "m" / "config.pbtxt").write_text(ALL)
        await bench.registry.load("m")
        assert (bench.find("m") is second, bench.find("m", "1") is first) == (True, False)

    play(scenario)


def test_instances_that_cannot_be_had_leave_everything_as_it_was(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.loaded("m")
        first.instances_fail = True
        (bench.root / "m" / "config.pbtxt").write_text(THREE)
        with pytest.raises(PyServeError, match="version 1 is at UNAVAILABLE state: Internal: ValueError: no more"):
            await bench.registry.load("m")
        assert (bench.find("m") is first, first.count) == (True, 1)
        with pytest.raises(PyServeError, match="scale failed for model 'm': ValueError: no more"):
            await bench.registry.scale("m", 4)

    play(scenario)


def test_a_model_is_scaled(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.loaded("m")
        await bench.registry.scale("m", 4)
        await bench.registry.load("m")  # nothing has changed in the repository
        assert (bench.find("m") is first, first.count) == (True, 4)
        assert (bench.root / "m" / "config.pbtxt").read_text() == CONFIG

    play(scenario)


def test_a_deployed_model_stays_scaled(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.deploy(GOOD)
        first = bench.find("m")
        await bench.registry.scale("m", 4)
        await bench.registry.load("m")
        assert (bench.find("m") is first, first.count) == (True, 4)
        assert "count: 4" in (bench.root / "m" / "config.pbtxt").read_text()

    play(scenario)


def test_a_failed_first_load_is_told_and_shown(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m", BAD)
        with pytest.raises(PyServeError) as failure:
            await bench.registry.load("m")
        assert failure.value.code is Code.INVALID_ARG
        assert failure.value.message == (
            "load failed for model 'm': version 1 is at UNAVAILABLE state: Internal: ValueError: no;\n"
        )
        assert bench.rows() == [
            {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "Internal: ValueError: no"}
        ]

    play(scenario)


def test_a_failed_reload_leaves_the_old_version_serving(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        first = await bench.loaded("m")
        bench.write("m", BAD)
        with pytest.raises(PyServeError):
            await bench.registry.load("m")
        assert bench.find("m") is first
        assert not first.stopped
        assert bench.rows() == [{"name": "m", "version": "1", "state": "READY"}]

    play(scenario)


def test_one_bad_version_keeps_the_others_out(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m", version=1, config=CONFIG)
        bench.write("m", BAD, version=2, config=CONFIG + "version_policy { all { } }")
        with pytest.raises(PyServeError, match="version 2 is at UNAVAILABLE state"):
            await bench.registry.load("m")
        with pytest.raises(PyServeError, match="has no available versions"):
            bench.find("m")

    play(scenario)


def test_what_cannot_be_started(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m", config=CONFIG + "version_policy { specific { versions: [ 7 ] } }")
        with pytest.raises(PyServeError, match="at least one version must be available"):
            await bench.registry.load("m")
        assert bench.registry.versionless == {Identity("", "m")}
        await bench.registry.unload("m")
        assert not bench.registry.versionless

    play(scenario)


def test_a_model_without_a_version_is_remembered_until_it_has_one(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        none = CONFIG + "version_policy { specific { versions: [ 7 ] } }"
        bench.write("m", config=none)
        with pytest.raises(PyServeError, match="at least one version must be available"):
            await bench.registry.load("m")
        await bench.loaded("m", config=CONFIG)
        assert not bench.registry.versionless
        bench.write("m", config=none)
        with pytest.raises(PyServeError, match="at least one version must be available"):
            await bench.registry.load("m")
        assert not bench.registry.versionless  # the old one serves

    play(scenario)


async def other_config(bench: Bench, **members: object) -> None:
    await bench.registry.load("m", Override(config=json.dumps({"backend": "python", **members})))


def test_an_override_stays_until_the_repository_changes(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.loaded("m")
        await other_config(bench, max_batch_size=4)
        overridden = bench.find("m")
        await bench.registry.load("m")
        await other_config(bench, max_batch_size=4)
        assert bench.find("m") is overridden
        await other_config(bench, max_batch_size=5)
        assert bench.find("m") is not overridden
        latest = bench.find("m")
        await bench.loaded("m", GOOD * 2)
        assert bench.find("m") is not latest
        assert bench.registry.entries["m"].override is None

    play(scenario)


def test_a_deploy_of_what_an_override_hides_brings_it_back(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.deploy(GOOD)
        await other_config(bench, max_batch_size=4)
        overridden = bench.find("m")
        assert await bench.deploy(GOOD)
        assert bench.find("m") is not overridden

    play(scenario)


def test_files_of_a_request_live_as_long_as_what_was_loaded_from_them(play: Play[Bench], tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.registry.load("m", Override(config=BACKEND, files={"1/model.py": b"", "2/model.py": b""}))
        servable = bench.find("m")
        assert bench.rows() == []
        [home] = bench.homes.iterdir()
        await bench.registry.unload("m")
        assert home.exists()
        servable.drained.set_result(None)
        await until(lambda: not home.exists())

    play(scenario)


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ("{", {"1/model.py": b""}),
        ("{}", {"x": b""}),
        ("{}", {"1/model.py": b"raise"}),
        ("{}", {"../x": b""}),
    ],
)
def test_nothing_is_left_of_a_load_with_files_that_failed(
    play: Play[Bench], config: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(PyServeError):
            await bench.registry.load("m", Override(config=config, files=files))
        assert list(bench.homes.iterdir()) == []

    play(scenario)


def test_models_that_hang_are_ended_together(play: Play[Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        stopping: list[FakeServable] = []
        all_begun = asyncio.Event()

        async def stop(servable: FakeServable, timeout_s: float) -> None:
            stopping.append(servable)
            if len(stopping) == 2:
                all_begun.set()
            await all_begun.wait()

        monkeypatch.setattr(FakeServable, "stop", stop)
        for name in ("a", "b"):
            await bench.loaded(name)
        await bench.registry.close()
        assert {servable.name for servable in stopping} == {"a", "b"}

    play(scenario)


def test_what_cannot_be_read(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(PyServeError) as failure:
            await bench.registry.load("nobody")
        assert failure.value.code is Code.INTERNAL
        assert failure.value.message == "failed to load 'nobody', failed to poll from model repository"
        assert bench.registry.entries == {}

    play(scenario)


def test_unload_hides_at_once_and_ends_when_drained(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        servable = await bench.loaded("m")
        await bench.registry.unload("m")
        with pytest.raises(PyServeError, match="has no available versions"):
            bench.find("m")
        assert bench.rows()[0]["state"] == "UNLOADING"
        servable.drained.set_result(None)
        await until(lambda: bench.rows()[0]["state"] == "UNAVAILABLE")
        assert servable.stopped
        assert bench.rows()[0]["reason"] == "unloaded"
        await bench.registry.load("m")
        assert bench.find("m") is not servable

    play(scenario)


def test_a_model_that_has_left_its_repository_is_not_shown(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        servable = await bench.loaded("m", version=1, config=ALL)
        bench.write("m", BAD, version=2, config=ALL)
        with pytest.raises(PyServeError):
            await bench.registry.load("m")
        shutil.rmtree(bench.root / "m")
        await bench.registry.forget(Identity("", "m"))
        assert bench.rows() == []
        records = bench.registry.entries["m"].versions
        assert [record.state for record in records.values()] == [VersionState.UNLOADING]  # the failed one is forgotten
        servable.drained.set_result(None)
        await until(lambda: records[1].reason == "unloaded")
        with pytest.raises(PyServeError, match="has no available versions"):
            bench.find("m")
        await bench.loaded("m")
        assert bench.rows() == [{"name": "m", "version": "1", "state": "READY"}]

    play(scenario)


def test_a_model_that_never_loaded_and_has_left_is_unknown(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m", BAD)
        with pytest.raises(PyServeError):
            await bench.registry.load("m")
        shutil.rmtree(bench.root / "m")
        await bench.registry.forget(Identity("", "m"))
        assert (bench.rows(), bench.registry.entries) == ([], {})

    play(scenario)


def test_a_load_that_fails_is_tried_again_as_often_as_that_is_wanted(
    play: Play[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [2]

    class Moody(FakeServable):
        async def start(self, progress: Any) -> None:
            if left[0]:
                left[0] -= 1
                raise LoadFailure("not yet")
            await super().start(progress)

    async def scenario(bench: Bench) -> None:
        monkeypatch.setattr(module, "new_servable", Moody)
        bench.write("m")
        with pytest.raises(PyServeError, match="not yet"):
            await bench.registry.load("m")
        bench.settings(load_retry_count=1)
        await bench.registry.load("m")
        assert (bench.find("m").version, left) == (1, [0])

    left[0] = 2
    play(scenario)


def test_unloading_the_unknown_is_no_error(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.registry.unload("nobody")
        assert bench.registry.entries == {}

    play(scenario)


def test_deploying_makes_versions(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.deploy(GOOD) is False
        assert await bench.deploy(GOOD) is True
        assert await bench.deploy(GOOD * 2) is False
        assert bench.find("m").version == 2
        assert bench.registry.entries["m"].owner == "a.ipynb"
        await bench.registry.load("m")  # what was deployed is what lies in the repository
        assert bench.find("m").source == GOOD * 2

    play(scenario)


def test_a_failed_deploy_changes_nothing(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(DeployFailure) as failure:
            await bench.deploy(BAD)
        assert (failure.value.exception, failure.value.frames) == ("ValueError", [{"line": 1}])
        assert (bench.registry.entries, list(bench.root.iterdir())) == ({}, [])
        await bench.deploy(GOOD)
        first = bench.find("m")
        with pytest.raises(DeployFailure):
            await bench.deploy(BAD)
        assert bench.find("m") is first
        assert not first.stopped
        assert [path.name for path in (bench.root / "m").iterdir() if path.is_dir()] == ["1"]

    play(scenario)


def test_operations_on_one_model_take_turns(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await asyncio.gather(*(bench.deploy(f"# {number}\n") for number in range(5)))
        versions = sorted(int(path.name) for path in (bench.root / "m").iterdir() if path.is_dir())
        assert versions == [1, 2, 3, 4, 5]
        assert bench.find("m").version == 5

    play(scenario)


def test_a_name_in_two_repositories_is_shown_as_that(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m")
        (bench.root / "other" / "m").mkdir(parents=True)
        settings = EngineSettings(model_repositories=(str(bench.root), str(bench.root / "other")))
        registry = Registry(cast(Any, SimpleNamespace(settings=settings)), lambda: None)
        assert {
            "name": "m",
            "state": "UNAVAILABLE",
            "reason": "model appears in two or more repositories",
        } in registry.index()

    play(scenario)


@pytest.mark.parametrize("text", ["", "x", "-1", "٣", str(2**63)])
def test_texts_that_are_no_version(text: str) -> None:
    with pytest.raises(PyServeError, match="failed to get model version from specified version string"):
        parse_version(text)


def test_texts_that_are() -> None:
    assert [parse_version(text) for text in ("0", "7", str(2**63 - 1))] == [0, 7, 2**63 - 1]


def test_a_deploy_that_waited_for_one_that_failed_is_found(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        failed, fine = await asyncio.gather(bench.deploy(BAD), bench.deploy(GOOD), return_exceptions=True)
        assert isinstance(failed, DeployFailure)
        assert fine is False
        assert bench.find("m").source == GOOD

    play(scenario)


def test_what_a_deploy_started_ends_when_it_cannot_be_written(
    play: Play[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[FakeServable] = []

    def commit(deployment: Deployment) -> None:
        raise OSError("no space left on device")

    class Watched(FakeServable):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)

    async def scenario(bench: Bench) -> None:
        monkeypatch.setattr(module, "new_servable", Watched)
        monkeypatch.setattr(Deployment, "commit", commit)
        with pytest.raises(OSError, match="no space"):
            await bench.deploy(GOOD)
        assert [servable.stopped for servable in started] == [True]
        assert bench.rows() == []

    play(scenario)


def test_a_removal_waits_for_a_deploy_and_the_next_deploy_for_the_removal(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.deploy(GOOD)
        bench.find("m").drained.set_result(None)
        await asyncio.gather(bench.deploy("# other\n"), bench.registry.remove("m"), bench.deploy(GOOD))
        assert (bench.find("m").version, bench.find("m").source) == (1, GOOD)

    play(scenario)


def test_other_spellings_of_a_version_are_not_remembered(play: Play[Bench]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.write("m")
        await bench.registry.load("m")
        assert bench.find("m", "0001") is bench.find("m", "1")
        assert list(bench.registry.routes) == [("m", "1")]
        assert parse_version("0" * 5000 + "7") == 7
        with pytest.raises(PyServeError, match="integral value"):
            parse_version("1" * 5000)

    play(scenario)
