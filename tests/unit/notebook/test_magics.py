from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output

from jupyter_pyserve.notebook import api
from jupyter_pyserve.notebook.deployment import Deployment
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

CLASS = """class TritonPythonModel:
    def initialize(self, args):
        raise ValueError("no")
    def execute(self, requests):
        return requests
"""
TENSORS = "--input INPUT0:FP32:-1 --output OUTPUT0:FP32:-1"
READY: dict[str, Any] = {"event": "ready", "unchanged": False, "elapsed_ms": 12.3, "model": MODEL}
FILE = "/repo/add_one/1/model.py"
FAILED: dict[str, Any] = {
    "event": "error",
    "code": "INVALID_ARG",
    "message": "load failed for model 'add_one': ValueError: no\n\nAt:\n  model.py(3): initialize\n",
    "exception": "ValueError",
    "model_file": FILE,
    "frames": [
        {"file": "/lib/pyserve_stub/loader.py", "line": 1, "function": "load", "text": "x"},
        {"file": FILE, "line": 3, "function": "initialize", "text": None},
    ],
}


def _run(shell: InteractiveShell, cell: str) -> tuple[ExecutionResult, CapturedIO]:
    with capture_output() as captured:
        result = shell.run_cell(cell, store_history=True)  # type: ignore[no-untyped-call]
    return result, captured


def _fails(shell: InteractiveShell, cell: str) -> str:
    """What is shown for a cell that fails."""
    result, captured = _run(shell, cell)
    assert result.error_in_exec is not None
    return str(captured.stdout) + str(captured.stderr)


def _works(shell: InteractiveShell, cell: str) -> str:
    result, captured = _run(shell, cell)
    result.raise_error()  # type: ignore[no-untyped-call]
    return str(captured.stdout)


def _model_cell(options: str = TENSORS, body: str = CLASS) -> str:
    return f"%%pyserve model add_one {options}\n{body}"


def test_a_cell_is_checked_and_deployed(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.deployment("add_one", {"event": "progress", "stage": "initialize", "instance": "add_one_0"}, READY)
    assert "%pyserve deploy add_one" in _works(shell, _model_cell())
    assert engine.requests == []
    shown = _works(shell, "%pyserve deploy add_one")
    assert "running initialize (add_one_0)" in shown
    assert "4711" in shown
    sent = engine.last("/api/models/add_one/deploy").json
    assert sent["source"].strip() == CLASS.strip()
    assert sent["origin"]["cell"] == "In[1]"
    assert 'name: "INPUT0"' in sent["config"]


def test_a_notebook_gets_one_output_that_is_replaced(engine: FakeEngine, shell: InteractiveShell) -> None:
    shell.kernel = object()  # type: ignore[attr-defined]
    engine.deployment("add_one", {"event": "progress", "stage": "write"}, READY)
    _, captured = _run(shell, _model_cell(TENSORS + " --deploy"))
    outputs = captured.outputs
    assert [output.update for output in outputs] == [False, True, True]
    assert len({output.transient["display_id"] for output in outputs}) == 1
    assert "curl -s" in outputs[-1].data["text/html"]
    assert "s3cret" not in str(outputs[-1].data)


def test_a_failed_deployment_names_the_cell_and_its_line(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.deployment("add_one", FAILED)
    _works(shell, "1")
    _works(shell, "\n\n" + _model_cell())
    shown = _fails(shell, "%pyserve deploy add_one")
    assert "Cell In[2], line 6, in initialize" in shown
    assert '----> 6           raise ValueError("no")' in shown
    assert "DeployError: load failed for model 'add_one': ValueError: no" in shown
    assert "pyserve_stub" not in shown
    assert "jupyter_pyserve" not in shown


def test_a_syntax_error_is_shown_as_ipython_does(engine: FakeEngine, shell: InteractiveShell) -> None:
    shown = _fails(shell, _model_cell(body="import json\n!ls\n"))
    assert "Cell In[1], line 3" in shown
    assert "!ls" in shown
    assert "jupyter_pyserve" not in shown
    assert "invalid syntax" in shown


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (_model_cell(body="class Model: pass\n"), "Cell In[1] defines no class 'TritonPythonModel'"),
        (_model_cell(""), "nothing says which inputs and outputs model 'add_one' has"),
        (_model_cell("--config nowhere.pbtxt"), "can't be read"),
        (_model_cell(f"--config nowhere.pbtxt {TENSORS}"), "leave the other options out"),
        (f"%%pyserve model a/b {TENSORS}\n{CLASS}", "path traversal"),
        ("%%pyserve config m\nnonsense {\n", "failed to read text proto"),
        ("%pyserve deploy other", "no cell of this kernel holds a model 'other'"),
        ("%pyserve status other", "Request for unknown model: 'other' is not found"),
    ],
)
def test_an_error_is_its_text_alone(engine: FakeEngine, shell: InteractiveShell, cell: str, problem: str) -> None:
    shown = _fails(shell, cell)
    assert shown.startswith("PyServeError: ")
    assert problem in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("cell", ["%pyserve list x", "%pyserve deploy", "%%pyserve model m --input A\nx\n"])
def test_a_wrong_line_is_a_usage_error(engine: FakeEngine, shell: InteractiveShell, cell: str) -> None:
    shown = _fails(shell, cell)
    assert shown.startswith("UsageError: ")
    assert "usage: %" in shown


def test_a_model_without_execute_is_a_warning(engine: FakeEngine, shell: InteractiveShell) -> None:
    assert "warning: TritonPythonModel has no execute" in _works(
        shell, _model_cell(body="class TritonPythonModel:\n    pass\n")
    )


def test_a_configuration_cell(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.deployment("add_one", READY)
    _works(shell, "%%pyserve config add_one\nmax_batch_size: 8\n")
    _works(shell, _model_cell(""))
    _works(shell, "%pyserve deploy add_one")
    assert engine.last("/api/models/add_one/deploy").json["config"] == "max_batch_size: 8\n"


def test_an_interrupt_ends_the_cell_with_one_line(
    engine: FakeEngine, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "start", interrupted)
    _works(shell, _model_cell())
    shown = _fails(shell, "%pyserve deploy add_one")
    assert "add_one: interrupted" in shown
    assert "DeployError: interrupted" in shown


@pytest.mark.parametrize("last", [READY, FAILED])
def test_a_long_deployment_goes_on_after_its_cell(
    engine: FakeEngine, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, last: dict[str, Any]
) -> None:
    go_on, threads = threading.Event(), []

    def lines() -> Iterator[bytes]:
        yield b'{"event":"progress","stage":"import"}\n'
        go_on.wait(10)
        yield b'{"event":"progress","stage":"initialize"}\n'
        yield api_json(last)

    follow = Deployment.continue_in_background
    monkeypatch.setattr(
        Deployment, "continue_in_background", lambda self, handler: threads.append(follow(self, handler))
    )
    engine.answer("POST", "/api/models/add_one/deploy", lines=lines())
    _works(shell, _model_cell())
    assert "that goes on in the background" in _works(shell, "%pyserve deploy add_one --wait 0")
    with capture_output() as captured:
        go_on.set()
        threads[0].join(10)
    assert "running initialize" in captured.stdout
    assert ("4711" if last is READY else "add_one: not deployed: load failed") in captured.stdout


def api_json(event: dict[str, Any]) -> bytes:
    import json

    return json.dumps(event).encode() + b"\n"


def test_the_other_commands(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.answer("GET", "/api/models/add_one/logs?tail=5&instance=add_one_0", json={"records": [{"text": "hello"}]})
    for path in ("/api/models/add_one/undeploy", "/api/models/add_one/restart"):
        engine.answer("POST", path)
    for verb in ("load", "unload"):
        engine.answer("POST", f"/v2/repository/models/add_one/{verb}")
    assert "add_one" in _works(shell, "%pyserve list")
    assert "pid 99" in _works(shell, "%pyserve status")
    assert "4711" in _works(shell, "%pyserve status add_one")
    assert "hello" in _works(shell, "%pyserve logs add_one -n 5 --instance add_one_0")
    assert "4711" in _works(shell, "%pyserve restart add_one")
    assert "4711" in _works(shell, "%pyserve restart add_one --force")
    assert engine.requests[-2].json == {"force": True}
    assert "4711" in _works(shell, "%pyserve load add_one")
    assert "unloaded" in _works(shell, "%pyserve unload add_one")
    assert "directory deleted" in _works(shell, "%pyserve undeploy add_one --delete")
    assert engine.requests[-1].json == {"delete": True}


def test_logs_of_a_model_that_nobody_knows(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.answer("GET", "/api/models/nope/logs?tail=50", json={"records": []})
    assert "unknown model: 'nope'" in _fails(shell, "%pyserve logs nope")


def test_help_in_all_its_ways(engine: FakeEngine, shell: InteractiveShell) -> None:
    for cell in ("%pyserve", "%pyserve help", "%pyserve --help", "%pyserve deploy --help"):
        assert "usage: %pyserve" in _works(shell, cell)
    inspected = shell.object_inspect_mime("%pyserve")["text/plain"]  # type: ignore[no-untyped-call]
    assert "--max-batch-size" in inspected
    assert "undeploy" in inspected


COMPLETIONS = [
    ("%pyserve sta", {"status"}),
    ("%pyserve ", {"deploy", "list", "status", "logs", "undeploy", "help"}),
    ("pyserve und", {"undeploy"}),
    ("%pyserve status add", {"add_one"}),
    ("%pyserve undeploy add_one --de", {"--delete"}),
    ("%%pyserve mo", {"model"}),
    ("%%pyserve model m --max-b", {"--max-batch-size"}),
]


@pytest.mark.filterwarnings("ignore:`Completer.complete`:PendingDeprecationWarning")
@pytest.mark.parametrize(("text", "expected"), COMPLETIONS)
def test_completion_as_a_terminal_asks(
    engine: FakeEngine, shell: InteractiveShell, text: str, expected: set[str]
) -> None:
    _, matches = shell.complete("", text, len(text))
    assert expected <= set(matches)
    assert not any("pyserve" in match for match in matches)


@pytest.mark.parametrize(("text", "expected"), COMPLETIONS)
def test_completion_as_a_kernel_asks(
    engine: FakeEngine, shell: InteractiveShell, text: str, expected: set[str]
) -> None:
    with provisionalcompleter():
        found = list(rectify_completions(text, shell.Completer.completions(text, len(text))))
    completed = {text[: item.start] + item.text for item in found}
    stem = text[: len(text) - len(text.rsplit(" ", 1)[-1])]
    assert {stem + word for word in expected} <= completed
    assert not completed & {f"{stem}{word}" for word in ("and", "if", "--max")}  # Python's own names


@pytest.mark.filterwarnings("ignore:`Completer.complete`:PendingDeprecationWarning")
def test_completion_offers_what_is_written_when_no_engine_answers(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYSERVE_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("PYSERVE_URL", raising=False)
    _works(shell, _model_cell())
    assert shell.complete("", "%pyserve status a", 17)[1] == ["add_one"]


def test_unloading_takes_the_magics_away(shell: InteractiveShell) -> None:
    shell.run_line_magic("unload_ext", "jupyter_pyserve")
    assert "not found" in _fails(shell, "%pyserve list")
    assert not shell.Completer.custom_matchers


def test_a_cell_takes_along_what_it_uses_of_others(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.deployment("add_one", READY)
    body = "class TritonPythonModel:\n    def execute(self, requests):\n        return OFFSET, nowhere\n"
    _works(shell, "OFFSET = 5")
    assert "warning: Cell In[2], line 4: 'nowhere' is defined neither" in _works(shell, _model_cell(body=body))
    _works(shell, "OFFSET = 6\n%pyserve deploy add_one")
    assert "OFFSET = 6\n" in engine.last("/api/models/add_one/deploy").json["source"]
    _works(shell, _model_cell(f"{TENSORS} --no-include --deploy", body))
    assert engine.last("/api/models/add_one/deploy").json["source"].strip() == body.strip()


def test_a_value_that_can_not_come_along_stops_the_deployment(engine: FakeEngine, shell: InteractiveShell) -> None:
    body = "class TritonPythonModel:\n    def execute(self, requests):\n        return lock\n"
    _works(shell, "import threading\nlock = threading.Lock()")
    shown = _fails(shell, _model_cell(f"{TENSORS} --deploy", body))
    assert "Cell In[2], line 4: 'lock' is a lock" in shown
    assert engine.requests == []


def test_braces_are_expanded_except_in_expressions(engine: FakeEngine, shell: InteractiveShell) -> None:
    shell.user_ns["name"] = "add_one"
    assert "4711" in _works(shell, "%pyserve status {name}")
    assert "4711" in _works(shell, "def ask(model):\n    %pyserve status {model}\nask(name)")
    shell.user_ns["i"] = 7
    engine.answer("GET", "/v2/models/add_one", json={"inputs": [{**MODEL["inputs"][0], "datatype": "BYTES"}]})  # type: ignore[index]
    engine.answer("POST", "/v2/models/add_one/infer", json={"outputs": []})
    _works(shell, '%pyserve infer add_one INPUT0=[f"{i}" for i in range(2)]')
    assert engine.last("/v2/models/add_one/infer").body.endswith(b"\x01\0\0\x000\x01\0\0\x001")
