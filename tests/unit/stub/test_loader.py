from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.faults import describe
from pyserve_stub.loader import Loader, LoadError, set_model_dir

ARGS = {"model_name": "m", "model_version": "1"}


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loading changes the interpreter for good; here it is put back."""
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["before"])
    monkeypatch.setattr(pb_utils, "get_model_dir", None)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def loader(repository: Path, source: str | None = "", *, filename: str = "model.py", **siblings: str) -> Loader:
    version = repository / "m" / "1"
    version.mkdir(parents=True)
    if source is not None:
        (version / filename).write_text(source)
    for name, text in siblings.items():
        (version / f"{name}.py").write_text(text)
    return Loader(str(repository / "m"), "1", filename, "m")


def model_class(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"class TritonPythonModel:\n    calls = []\n{lines}"


# -- importing --------------------------------------------------------------------------------------------------------


def test_a_model_is_imported_from_its_version(tmp_path: Path) -> None:
    made = loader(tmp_path, model_class("where = (__name__, __file__, __package__)"))
    made.import_class()
    made.initialize(ARGS)
    assert made.model.where == ("1.model", str(tmp_path / "m" / "1" / "model.py"), "1")
    assert made.model_file == made.model.where[1]
    assert made.version_dir == str(tmp_path / "m" / "1")


def test_the_interpreter_is_set_up_for_models(tmp_path: Path) -> None:
    before = list(sys.path)
    loader(tmp_path, model_class("")).import_class()
    assert sys.path == [*before, str(tmp_path / "m" / "1"), str(tmp_path / "m")]
    assert sys.argv == [""]


def test_siblings_are_imported_both_ways(tmp_path: Path) -> None:
    source = "from . import first\nfrom .first import VALUE\nimport second\n" + model_class(
        "values = (first.VALUE, VALUE, second.VALUE, first.__name__, second.__name__)"
    )
    made = loader(tmp_path, source, first="VALUE = 1", second="VALUE = 2")
    made.import_class()
    made.initialize(ARGS)
    assert made.model.values == (1, 1, 2, "1.first", "second")


def test_siblings_in_the_models_directory_are_found(tmp_path: Path) -> None:
    made = loader(tmp_path, "import beside\n" + model_class(""))
    (tmp_path / "m" / "beside.py").write_text("")
    made.import_class()


def test_nothing_else_of_the_versions_name_is_taken(tmp_path: Path) -> None:
    # A directory called 1 is on the path of whoever starts Jupyter inside another model.
    other = tmp_path / "other"
    (other / "1").mkdir(parents=True)
    (other / "1" / "model.py").write_text("raise SystemError('the wrong file')")
    (other / "1" / "helper.py").write_text("raise SystemError('the wrong file')")
    sys.path.insert(0, str(other))
    made = loader(tmp_path, "from . import helper\n" + model_class(""), helper="")
    made.import_class()


def test_a_version_may_be_a_package(tmp_path: Path) -> None:
    source = "from . import VALUE\n" + model_class("value = VALUE")
    made = loader(tmp_path, source, __init__="from .sibling import VALUE", sibling="VALUE = 5")
    made.import_class()
    made.initialize(ARGS)
    assert made.model.value == 5


def test_no_bytecode_of_the_model_is_left_behind(tmp_path: Path) -> None:
    writes = sys.dont_write_bytecode
    loader(tmp_path, model_class("")).import_class()
    assert list(tmp_path.rglob("*.pyc")) == []
    assert sys.dont_write_bytecode is writes


def test_another_file_name_is_imported(tmp_path: Path) -> None:
    made = loader(tmp_path, model_class(""), filename="other.py")
    made.import_class()
    assert "1.other" in sys.modules


@pytest.mark.parametrize(("filename", "package"), [("sub/model.py", "sub"), ("../2/model.py", "2")])
def test_a_file_elsewhere_is_imported_by_its_own_directory(tmp_path: Path, filename: str, package: str) -> None:
    path = tmp_path / "m" / "1" / filename
    (tmp_path / "m" / "1").mkdir(parents=True)
    path.parent.mkdir()
    path.write_text("from . import beside\n" + model_class("where = (__name__, beside.__name__)"))
    (path.parent / "beside.py").touch()
    made = Loader(str(tmp_path / "m"), "1", filename, "m")
    made.import_class()
    made.initialize(ARGS)
    assert made.model.where == (f"{package}.model", f"{package}.beside")


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_backends_code_is_imported_from_its_directory(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    backend.mkdir()
    (backend / "model.py").write_text("import beside\n" + model_class("where = (__name__, __file__, beside.__file__)"))
    (backend / "beside.py").touch()
    (tmp_path / "model.py").write_text("1 / 0")
    sys.path.insert(0, str(tmp_path))
    before = list(sys.path)
    made = Loader(str(tmp_path / "m"), "1", "model.py", "m", str(backend))
    made.import_class()
    made.initialize(ARGS)
    assert made.model.where == ("model", str(backend / "model.py"), str(backend / "beside.py"))
    assert made.version_dir == str(tmp_path / "m" / "1")
    assert sys.path == [*before, str(backend)]


def test_a_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        loader(tmp_path, filename="my.txt").import_class()
    assert str(caught.value) == "Model name must end with '.py'. Model name is \"my.txt\"."


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        loader(tmp_path, None).import_class()
    assert str(caught.value) == f"Python model file not found in '{tmp_path}/m/1/model.py'"


def text_of(made: Loader, *steps: str) -> str:
    """The text of what the last of these steps raises."""
    for step in steps[:-1]:
        getattr(made, step)(*arguments(step))
    with pytest.raises(BaseException) as caught:
        getattr(made, steps[-1])(*arguments(steps[-1]))
    own_frame = caught.value.__traceback__
    assert own_frame is not None
    return describe(caught.value.with_traceback(own_frame.tb_next)).text


def arguments(step: str) -> tuple[Any, ...]:
    return {"import_class": (), "auto_complete": ("{}",), "initialize": (ARGS,), "finalize": ()}[step]


def test_a_dotted_stem_is_not_found(tmp_path: Path) -> None:
    text = text_of(loader(tmp_path, filename="a.b.py"), "import_class")
    assert text.startswith("ModuleNotFoundError: No module named '1.a'")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1", "AttributeError: module '1.model' has no attribute 'TritonPythonModel'"),
        ("a b", "SyntaxError: invalid syntax (model.py, line 1)"),
        ("raise ValueError('boom')", "ValueError: boom\n\nAt:\n  {file}(1): <module>\n"),
        ("\nimport sys\nsys.exit(3)", "SystemExit: 3\n\nAt:\n  {file}(3): <module>\n"),
        ("import nosuchmodule", "ModuleNotFoundError: No module named 'nosuchmodule'\n\nAt:\n  {file}(1): <module>\n"),
    ],
    ids=["class", "syntax", "raise", "exit", "import"],
)
def test_a_module_that_fails_is_described(tmp_path: Path, source: str, text: str) -> None:
    made = loader(tmp_path, source)
    assert text_of(made, "import_class") == text.format(file=made.model_file)


@pytest.mark.parametrize(
    ("body", "step", "text"),
    [
        (
            "def __init__(self): raise ValueError('boom')",
            "initialize",
            "ValueError: boom\n\nAt:\n  {file}(3): __init__\n",
        ),
        (
            "def initialize(self, args): raise KeyError('x')",
            "initialize",
            "KeyError: 'x'\n\nAt:\n  {file}(3): initialize\n",
        ),
        (
            "def initialize(self, args): raise SystemExit(3)",
            "initialize",
            "SystemExit: 3\n\nAt:\n  {file}(3): initialize\n",
        ),
        (
            "@staticmethod\ndef auto_complete_config(c): raise ValueError('boom')",
            "auto_complete",
            "ValueError: boom\n\nAt:\n  {file}(4): auto_complete_config\n",
        ),
    ],
)
def test_methods_that_raise_are_described(tmp_path: Path, body: str, step: str, text: str) -> None:
    made = loader(tmp_path, model_class(body))
    assert text_of(made, "import_class", step) == text.format(file=made.model_file)


@pytest.mark.parametrize(
    ("body", "step", "text"),
    [
        ("def initialize(self): pass", "initialize", "initialize() takes 1 positional argument but 2 were given"),
        (
            "def auto_complete_config(self, c): pass",
            "auto_complete",
            "auto_complete_config() missing 1 required positional argument: 'c'",
        ),
    ],
)
def test_methods_of_another_arity_are_told(tmp_path: Path, body: str, step: str, text: str) -> None:
    told = text_of(loader(tmp_path, model_class(body)), "import_class", step)
    # Interpreters before 3.10 do not say the class.
    assert told.replace("TritonPythonModel.", "") == f"TypeError: {text}"


@pytest.mark.parametrize("returned", ["None", "c.as_dict()", "3"])
def test_auto_complete_returns_a_configuration(tmp_path: Path, returned: str) -> None:
    made = loader(tmp_path, model_class(f"@staticmethod\ndef auto_complete_config(c): return {returned}"))
    made.import_class()
    with pytest.raises(LoadError) as caught:
        made.auto_complete("{}")
    assert str(caught.value) == (
        "auto_complete_config function in model 'm' must return a valid pb.ModelConfig object."
    )


# -- the life of a model ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decorated", ["@staticmethod\ndef auto_complete_config(c):", "@classmethod\ndef auto_complete_config(k, c):"]
)
def test_auto_complete_is_called_on_the_class(tmp_path: Path, decorated: str) -> None:
    body = f"def __init__(self): raise SystemError\n{decorated}\n    c.set_max_batch_size(4)\n    return c"
    made = loader(tmp_path, model_class(body))
    made.import_class()
    completed = made.auto_complete('{"name": "m", "max_batch_size": 0}')
    assert completed is not None
    assert json.loads(completed) == {"name": "m", "max_batch_size": 4}


def test_auto_complete_may_be_absent(tmp_path: Path) -> None:
    made = loader(tmp_path, model_class(""))
    made.import_class()
    assert made.auto_complete("{}") is None


def test_a_model_lives_from_initialize_to_finalize(tmp_path: Path) -> None:
    body = (
        "def __init__(self): self.calls.append('init')\n"
        "def initialize(self, args): self.calls.append(args); return 3\n"
        "def finalize(self): self.calls.append('finalize')\n"
        "def __del__(self): self.calls.append('del')"
    )
    made = loader(tmp_path, model_class(body))
    made.import_class()
    made.initialize(ARGS)
    calls = made.model.calls
    assert calls == ["init", ARGS]
    made.finalize()
    assert calls == ["init", ARGS, "finalize", "del"]
    assert made.model is None


def test_initialize_and_finalize_may_be_absent(tmp_path: Path) -> None:
    made = loader(tmp_path, model_class(""))
    made.import_class()
    made.initialize(ARGS)
    assert made.model is not None
    made.finalize()


def test_coroutines_are_not_awaited(tmp_path: Path) -> None:
    body = "async def initialize(self, args): raise SystemError\nasync def finalize(self): raise SystemError"
    made = loader(tmp_path, model_class(body))
    made.import_class()
    made.initialize(ARGS)
    made.finalize()


def test_the_models_directory_is_told_to_models() -> None:
    set_model_dir("/repository/m/1")
    assert pb_utils.get_model_dir() == "/repository/m/1"
