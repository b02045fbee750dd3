from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.engine.versions.backends import find_runtime, wants_device_inputs
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import parse_pbtxt


def find(text: str, backends: Path | None, *searched: str) -> tuple[str, str]:
    config = parse_pbtxt(text, model_name="m", path="config.pbtxt", default_backend="")
    return find_runtime(config, searched, str(backends) if backends is not None else "")


def backend(root: Path, name: str, *files: str) -> str:
    folder = root / name
    folder.mkdir()
    for file in files:
        (folder / file).touch()
    return str(folder)


def test_a_models_own_code(tmp_path: Path) -> None:
    backend(tmp_path, "python", "model.py")
    assert find('backend: "python"', tmp_path) == ("", "")


def test_a_backend_that_is_a_model(tmp_path: Path) -> None:
    folder = backend(tmp_path, "mine", "model.py", "other.py")
    assert find('backend: "mine"', tmp_path) == (folder, "model.py")
    assert find('backend: "mine" runtime: "model.py"', tmp_path) == (folder, "model.py")
    assert find('backend: "mine" runtime: "other.py"', tmp_path) == (folder, "other.py")


def test_a_models_directory_is_searched_first(tmp_path: Path) -> None:
    own, shared = backend(tmp_path, "m", "special.py"), backend(tmp_path, "mine", "special.py")
    assert find('backend: "mine" runtime: "special.py"', tmp_path, own) == (own, "special.py")
    assert find('backend: "mine" runtime: "special.py"', tmp_path, "/nowhere") == (shared, "special.py")


@pytest.mark.parametrize("name", ["absent", "empty", "library", "..", "../up/mine", "a/b"])
def test_backends_that_are_not_there(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "backends"
    inner.mkdir()
    (tmp_path / "model.py").touch()
    backend(inner, "empty")
    backend(inner, "library", "model.py", "libtriton_library.so")
    for backends in (inner, None):
        with pytest.raises(LoadFailure) as failure:
            find(f'backend: "{name}"', backends)
        assert failure.value.kind == "Invalid argument"
        assert failure.value.text == (
            f"unable to find backend library for backend '{name}', try specifying runtime on the model configuration."
        )


@pytest.mark.parametrize("runtime", ["other.py", "libtriton_mine.so", "../mine/model.py"])
def test_runtimes_that_are_not_there(runtime: str, tmp_path: Path) -> None:
    folder = backend(tmp_path, "mine", "model.py", "libtriton_mine.so")
    with pytest.raises(LoadFailure) as failure:
        find(f'backend: "mine" runtime: "{runtime}"', tmp_path, "/r/m/1", "/r/m")
    places = f"'/r/m/1' '/r/m' '{folder}' "
    assert failure.value.text == f"unable to find backend library '{runtime}' for model 'm', searched: {places}"


def test_a_runtime_elsewhere_is_not_used(tmp_path: Path) -> None:
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    (tmp_path / "m" / "libtriton_x.so").touch()
    runtime = "../libtriton_x.so"
    with pytest.raises(LoadFailure) as failure:
        find(f'backend: "mine" runtime: "{runtime}"', None, str(version))
    assert failure.value.kind == "Invalid argument"
    assert failure.value.text == (
        f"backend library name '{runtime}' escapes backend directory '{version}', for model 'm', check model config "
        "runtime field"
    )


def test_whether_a_model_takes_inputs_on_devices() -> None:
    parameter = 'parameters {{ key: "FORCE_CPU_ONLY_INPUT_TENSORS" value: {{ string_value: "{}" }} }}'
    for text, wanted in (("", False), (parameter.format("yes"), False), (parameter.format("no"), True)):
        config = parse_pbtxt('backend: "python" ' + text, model_name="m", path="config.pbtxt")
        assert wants_device_inputs(config) is wanted
    config = parse_pbtxt('backend: "python" ' + parameter.format("so"), model_name="m", path="config.pbtxt")
    with pytest.raises(LoadFailure, match="Incorrect value for FORCE_CPU_ONLY_INPUT_TENSORS: so'"):
        wants_device_inputs(config)
