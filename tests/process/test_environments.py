"""Models in environments of their own: every interpreter, archives, hostile archives, and what is said of failures."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tarfile
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import outputs
from tests.process.engine import Engine, running_engine
from tests.process.interpreters import INTERPRETERS, make_environment, version
from tests.process.repository import add_model
from tests.process.waiting import wait_until

_numbers = count(1)

INPUTS: dict[str, Any] = {"X": np.array([1, 2], np.float32), "TEXT": np.array(["ä", b"\xff", ""], object)}


def add(engine: Engine, path: str, *, instances: int = 1) -> str:
    """A resident in the environment at `path`; its name."""
    name = f"resident{next(_numbers)}"
    extra = f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{path}" }} }}'
    add_model(engine.repository, "resident", name, instances=instances, extra=extra)
    return name


def settle(engine: Engine, path: object, *, instances: int = 1) -> str:
    """The same, loaded."""
    name = add(engine, str(path), instances=instances)
    engine.load(name)
    return name


def home(engine: Engine, name: str) -> dict[str, Any]:
    """What a resident says of where it lives."""
    told: dict[str, Any] = json.loads(outputs(engine.infer(name, INPUTS))["HOME"][0])
    return told


def load_error(engine: Engine, name: str) -> str:
    answer = engine.http.post(f"/v2/repository/models/{name}/load")
    assert answer.status == 400
    text = answer.error.removeprefix(f"load failed for model '{name}': version 1 is at UNAVAILABLE state: Internal: ")
    return text.removesuffix(";\n")


@pytest.fixture(scope="session")
def environment_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The environment made of an interpreter."""
    made: dict[str, Path] = {}

    def make(interpreter: str) -> Path:
        if interpreter not in made:
            made[interpreter] = make_environment(interpreter, tmp_path_factory.mktemp("environment") / "env")
        return made[interpreter]

    return make


@pytest.fixture
def environment(environment_of: Callable[[str], Path]) -> Path:
    """The environment of this interpreter."""
    return environment_of(sys.executable)


# -- every interpreter ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_model_runs_under_the_interpreter_of_its_environment(
    engine: Engine, environment_of: Callable[[str], Path], interpreter: str
) -> None:
    environment = environment_of(interpreter)
    name = settle(engine, environment)
    answer = outputs(engine.infer(name, INPUTS))
    assert answer["Y"].tolist() == [2, 3]
    assert answer["TEXT"].tolist() == ["ä".encode(), b"\xff", b""]
    told = json.loads(answer["HOME"][0])
    assert told["python"] == version(interpreter)
    assert (told["prefix"], told["executable"]) == (str(environment), str(environment / "bin" / "python"))
    row = engine.instances(name)[0]
    assert (row["interpreter"], row["python"]) == (told["executable"], told["python"])


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_an_error_of_the_model_reads_the_same(
    engine: Engine, environment_of: Callable[[str], Path], interpreter: str
) -> None:
    name = settle(engine, environment_of(interpreter))
    file = engine.repository / name / "1" / "model.py"
    lines = [
        number
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "raise " in line or "self.answer(" in line
    ]
    answer = engine.infer(name, {**INPUTS, "X": np.array([-1], np.float32)})
    assert answer.status == 500
    head, _, places = answer.error.partition("\n\nAt:\n")
    assert head == f"Failed to process the request(s) for model '{name}_0_0', message: ValueError: below zero: ä"
    assert f"  {file}({lines[1]}): answer\n" in places
    assert places.endswith(f"  {file}({lines[0]}): execute\n")
    assert "pyserve_stub" not in answer.error


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_processes_that_the_model_starts_find_its_modules(
    engine: Engine, environment_of: Callable[[str], Path], interpreter: str
) -> None:
    name = settle(engine, environment_of(interpreter))
    answer = engine.infer(name, {**INPUTS, "X": np.array([1000, 2], np.float32)})
    assert outputs(answer)["Y"].tolist() == [1000001, 5]


# -- equal in every other way -----------------------------------------------------------------------------------------


def test_it_is_a_stub_like_any_other(engine: Engine, environment: Path) -> None:
    name = settle(engine, environment)
    told = home(engine, name)
    pid = engine.pids(name)[0]
    assert machine.title(pid) == f"pyserve_stub {engine.repository}/{name}/1/model.py {name}_0_0"
    assert machine.parent(pid) == engine.zygote()
    assert told["argv"] == [""]
    assert told["surface"].endswith("stub.zip/triton_python_backend_utils.py")
    ordinary = f"ordinary{next(_numbers)}"
    add_model(engine.repository, "resident", ordinary)
    engine.load(ordinary)
    other = home(engine, ordinary)
    assert told["ignored"] == other["ignored"]
    kinds = [sorted(map(kind, machine.descriptors(engine.pids(model)[0]))) for model in (name, ordinary)]
    assert kinds[0] == kinds[1]
    [record] = engine.said(name, f"at home in {environment}")
    assert record["stream"] == "stdout"


def kind(descriptor: str) -> str:
    return descriptor.partition(":")[0]


def test_its_variables_are_those_of_an_activated_environment(engine: Engine, environment: Path) -> None:
    environ = home(engine, settle(engine, environment))["environ"]
    ours = os.environ
    assert environ["VIRTUAL_ENV"] == str(environment)
    assert environ["VIRTUAL_ENV_PROMPT"] == f"({environment})"
    assert environ["PATH"] == f"{environment}/bin:{ours['PATH']}"
    assert environ["LD_LIBRARY_PATH"].split(":")[0] == f"{environment}/lib"
    assert not {"PYTHONHOME", "PYTHONSAFEPATH", "PYSERVE_TOKEN"} & set(environ)


def test_an_activate_script_is_not_run(engine: Engine, environment: Path, tmp_path: Path) -> None:
    copy = make_environment(sys.executable, tmp_path / "env")
    (copy / "bin" / "activate").write_text(f"touch {tmp_path}/was_here\nexport STOLEN=1\nexit 1\n")
    assert "STOLEN" not in home(engine, settle(engine, copy))["environ"]
    assert not (tmp_path / "was_here").exists()


def test_a_death_is_noticed_and_it_starts_again_in_its_environment(engine: Engine, environment: Path) -> None:
    name = settle(engine, environment)
    before = engine.pids(name)[0]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: engine.pids(name) != [before] and engine.ready(name), "it runs again")
    assert home(engine, name)["prefix"] == str(environment)
    wait_until(
        lambda: any("was ended by signal 9 (SIGKILL)" in record["text"] for record in engine.logs(name)),
        lambda: f"its end is told: {engine.logs(name)}",
    )


def test_it_ends_with_the_engine(fresh_engine: Engine, environment: Path) -> None:
    pids = fresh_engine.pids(settle(fresh_engine, environment, instances=2))
    fresh_engine.process.kill()
    wait_until(lambda: all(machine.is_gone(pid) for pid in pids), "the stubs are gone")


def test_it_finalises_when_it_is_unloaded(engine: Engine, environment: Path) -> None:
    name = settle(engine, environment)
    engine.unload(name)
    wait_until(lambda: any(item["text"] == "moved out" for item in engine.logs(name)), "it has finalised")


def test_a_kernelspec_is_an_environment(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kernels" / "research"
    folder.mkdir(parents=True)
    argv = [str(environment / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Research", "language": "python", "env": {"DATA": "/data"}}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with running_engine() as engine:
        told = home(engine, settle(engine, "research"))
        assert (told["prefix"], told["environ"]["DATA"]) == (str(environment), "/data")


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/nowhere/env.tar.gz", "Failed to get the canonical path for /nowhere/env.tar.gz."),
        (
            "$$TRITON_MODEL_DIRECTORY/1",
            "Path {model}/1/bin/activate does not exist. The Python environment should contain an 'activate' script.",
        ),
        (
            "$$TRITON_MODEL_DIRECTORY/config.pbtxt",
            "The archive {model}/config.pbtxt cannot be used as an execution environment: "
            "it is not a tar or tar.gz archive, or is damaged: truncated header",
        ),
    ],
)
def test_a_path_that_leads_to_no_environment(engine: Engine, path: str, text: str) -> None:
    name = add(engine, path)
    error = load_error(engine, name)
    assert error.startswith(text.format(model=(engine.repository / name).resolve()))
    assert engine.index(name)["reason"] == f"Internal: {error}"


def test_an_interpreter_without_numpy_is_named(engine: Engine, tmp_path: Path) -> None:
    bare = make_environment(sys.executable, tmp_path / "bare", numpy=False)
    for package in bare.glob("lib/python3*/site-packages"):  # whatever the interpreter of this one has
        (package / "numpy.py").write_text("raise ImportError('no numpy here')\n")
    assert load_error(engine, add(engine, str(bare))) == (
        f"The interpreter {bare}/bin/python (CPython {version(sys.executable)}) has no usable numpy, "
        "without which no model runs: ImportError: no numpy here"
    )


def false_environment(folder: Path, script: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "activate").touch()
    (folder / "bin" / "python").write_text(script)
    (folder / "bin" / "python").chmod(0o755)
    return folder


def test_an_interpreter_that_does_not_start_says_why(engine: Engine, tmp_path: Path) -> None:
    broken = false_environment(tmp_path / "broken", "#!/bin/sh\necho GLIBC_2.99 not found >&2\nexit 127\n")
    name = add(engine, str(broken))
    first, second, third = load_error(engine, name).splitlines()
    assert first == f"Stub process '{name}_0_0' is not healthy."
    assert second.startswith(f"The interpreter {broken}/bin/python does not start: Stub process '{name}_0_0' (pid ")
    assert second.endswith(") ended with exit status 127")
    assert third == "GLIBC_2.99 not found"


def test_an_interpreter_that_cannot_be_executed_is_named(engine: Engine, tmp_path: Path) -> None:
    broken = false_environment(tmp_path / "broken", "\x7fELF of another machine")
    assert load_error(engine, add(engine, str(broken))) == (
        f"The interpreter {broken}/bin/python cannot be executed: Exec format error"
    )


def test_a_module_that_is_missing_is_named_with_where_it_is_missing(engine: Engine, environment: Path) -> None:
    name = add(engine, str(environment))
    model = engine.repository / name / "1" / "model.py"
    model.write_text("import there_is_no_such_module\n")
    assert load_error(engine, name) == (
        f"ModuleNotFoundError: No module named 'there_is_no_such_module'\n\nAt:\n  {model}(1): <module>\n\n"
        "The module 'there_is_no_such_module' is missing in the environment of "
        f"{environment}/bin/python (CPython {version(sys.executable)})."
    )


# -- archives ---------------------------------------------------------------------------------------------------------


def pack(environment: Path, archive: Path, *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(environment, ".")
        for info in extra:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return archive


@pytest.fixture
def archiving_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine whose temporary files are in a folder that nobody else uses."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with running_engine() as engine:
        yield engine
    monkeypatch.setattr(tempfile, "tempdir", None)


def folders(engine: Engine) -> list[Path]:
    """What the engine holds in its folder."""
    return sorted(path for made in engine.folder.parent.glob("pyserve-engine-*") for path in made.iterdir())


def unpacked(engine: Engine) -> list[Path]:
    return [path for path in folders(engine) if path.is_dir()]


def test_an_archive_is_unpacked_once_and_again_when_it_changes(
    archiving_engine: Engine, environment: Path, tmp_path: Path
) -> None:
    engine = archiving_engine
    archive = pack(environment, tmp_path / "env.tar.gz")
    first, second = settle(engine, archive, instances=2), settle(engine, archive)
    (folder,) = unpacked(engine)
    assert home(engine, first)["prefix"] == home(engine, second)["prefix"] == str(folder)
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    os.utime(archive, (1, 1))
    third = settle(engine, archive)
    assert unpacked(engine) == [folder, Path(home(engine, third)["prefix"])]
    assert home(engine, first)["prefix"] == str(folder)  # undisturbed
    engine.unload(first)
    engine.unload(second)
    wait_until(lambda: unpacked(engine) == [Path(home(engine, third)["prefix"])], "the old one is deleted")
    assert engine.log.read_text().count("Extracting Python execution env") == 2
    assert engine.stop() == 0
    assert folders(engine) == []


def test_the_directory_of_the_model_stands_for_itself(archiving_engine: Engine, environment: Path) -> None:
    engine = archiving_engine
    name = add(engine, "$$TRITON_MODEL_DIRECTORY/env.tar.gz")
    pack(environment, engine.repository / name / "env.tar.gz")
    engine.load(name)
    assert home(engine, name)["prefix"] == str(unpacked(engine)[0])


def test_what_a_killed_engine_left_is_deleted_by_the_next(
    archiving_engine: Engine, environment: Path, tmp_path: Path
) -> None:
    engine = archiving_engine
    settle(engine, pack(environment, tmp_path / "env.tar.gz"))
    left = folders(engine)
    assert len(left) == 2
    engine.process.kill()
    engine.process.wait()
    assert folders(engine) == left
    engine.kill_and_start_again()
    wait_until(lambda: not left[0].parent.exists(), "they are deleted")


def entry(name: str, kind: bytes = tarfile.REGTYPE, **facts: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in facts.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([entry("../escaped", size=1)], "Path contains '..' (entry '../escaped')"),
        ([entry("{outside}/escaped", size=1)], "Path is absolute"),
        (
            [entry("out", tarfile.SYMTYPE, linkname="{outside}"), entry("out/escaped", size=1)],
            "it links to '{outside}', outside of the archive (entry 'out')",
        ),
        (
            [entry("bin/python9", tarfile.SYMTYPE, linkname="{outside}"), entry("bin/python9/escaped", size=1)],
            "it leads through a symbolic link, 'bin/python9' (entry 'bin/python9/escaped')",
        ),
        ([entry("stolen", tarfile.LNKTYPE, linkname="{outside}/secret")], "Path is absolute (entry 'stolen')"),
        ([entry("null", tarfile.CHRTYPE)], "it is a device, pipe or the like (entry 'null')"),
        ([entry("su", mode=0o4755)], "it sets the user or group that runs it (entry 'su')"),
    ],
)
def test_an_archive_that_leads_out_is_refused_and_leaves_nothing(
    archiving_engine: Engine, tmp_path: Path, entries: list[tarfile.TarInfo], why: str
) -> None:
    engine = archiving_engine
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "empty").mkdir()
    for info in entries:
        info.name, info.linkname = (text.replace("{outside}", str(outside)) for text in (info.name, info.linkname))
    archive = pack(tmp_path / "empty", tmp_path / "env.tar.gz", *entries)
    error = load_error(engine, add(engine, str(archive)))
    text = f"The archive {archive} cannot be used as an execution environment: {why}"
    assert error.startswith(text.replace("{outside}", str(outside)))
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert not list(tmp_path.rglob("escaped"))
    assert unpacked(engine) == []
