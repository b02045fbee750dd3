"""`load_model` and its kin inside a model, with real processes."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from tests.process.client import command, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.repository import add_model, config, source


@pytest.fixture
def caller(engine: Engine) -> str:
    """A model that runs the code it is sent."""
    return loaded(engine, "scripted")


def run(engine: Engine, model: str, code: str, **arguments: Any) -> Any:
    """What `code` comes to inside a model; the text of a `TritonModelException`."""
    tried = "try:\n" + "".join(f"    {line}\n" for line in dedent(code).strip().splitlines())
    tried += "except pb_utils.TritonModelException as error:\n    result = str(error)\n"
    return said(engine.infer(model, command(tried, **arguments)))


def test_a_model_loads_calls_and_unloads_another(engine: Engine, caller: str) -> None:
    add_model(engine.repository, "puppet", "controlled")
    code = """
        seen = [pb_utils.is_model_ready(name)]
        pb_utils.load_model(name)
        seen += [pb_utils.is_model_ready(name)]
        seen += [pb_utils.is_model_ready(name, version) for version in ("1", "1abc", "2")]
        seen += [said(request_to(name, do="echo", value=4).exec())]
        pb_utils.unload_model(name)
        seen += [pb_utils.is_model_ready(name)]
        result = seen
    """
    assert run(engine, caller, code, name="controlled") == [False, True, True, True, False, 4, False]


def test_a_configuration_and_files(engine: Engine, caller: str) -> None:
    add_model(engine.repository, "puppet", "overridden")
    code = """
        settings = {"name": name, "backend": "python", "max_batch_size": 0,
            "input": [{"name": "COMMAND", "data_type": "TYPE_STRING", "dims": [1]}],
            "output": [{"name": "ANSWER", "data_type": "TYPE_STRING", "dims": [1]},
                       {"name": "RESULT", "data_type": "TYPE_FP32", "dims": [-1]}]}
        text = text.replace("self.kept = {}", "self.kept = {}; self.new = 7")
        pb_utils.load_model(name, config=json.dumps(settings), files={"file:1/model.py": text.encode()})
        result = said(request_to(name, do="import gc, sys; result = 'scripted'").exec())
    """
    assert run(engine, caller, code, name="overridden", text=source("scripted")) == "scripted"
    engine.unload("overridden")


_REFUSED = "Failed to {what}: Failed to process the request for model '{caller}_0_0', message: "
_POLL = _REFUSED.replace("{what}", "load model") + "failed to load 'nobody', failed to poll from model repository"
_READY = _REFUSED.replace("{what}", "check model readiness")
_VERSION = _READY + "failed to get model version from specified version string '{text}'{details}, "
_VERSION += "version should be an integral value > 0"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("load_model('nobody')", _POLL),
        ("load_model('nobody', config='{}', files={'1/model.py': b''})", _POLL),
        ("load_model('nobody', files=[])", "failed to load model 'nobody', files should be a dictionary of file paths "
         "and file contents"),
        ("unload_model('nobody')", None),
        ("is_model_ready('nobody')", False),
        ("is_model_ready('nobody', 'x')", _VERSION.replace("{text}", "x").replace("{details}", " (details: stol)")),
        ("is_model_ready('nobody', '-1')", _VERSION.replace("{text}", "-1").replace("{details}", "")),
    ],
)  # fmt: skip
def test_what_is_refused(engine: Engine, caller: str, call: str, text: Any) -> None:
    expected = text.format(caller=caller) if isinstance(text, str) else text
    assert run(engine, caller, f"result = pb_utils.{call}") == expected


def test_a_model_that_does_not_load(engine: Engine, caller: str) -> None:
    add_model(engine.repository, "puppet", "broken")
    (engine.repository / "broken" / "1" / "model.py").write_text("raise RuntimeError('broken on purpose')")
    text = run(engine, caller, "pb_utils.load_model('broken')")
    assert text.startswith(_REFUSED.format(what="load model", caller=caller) + "load failed for model 'broken': ")
    assert "broken on purpose" in text


def test_while_another_is_initialised(engine: Engine, puppet: str) -> None:
    add_model(engine.repository, "puppet", "loaded_early")
    text = source("scripted").replace(
        "self.kept = {}",
        f"self.kept = {{}}; pb_utils.load_model('loaded_early'); assert pb_utils.is_model_ready('{puppet}')",
    )
    assert engine.deploy("early_loader", text, config("scripted"))[-1]["event"] == "ready"
    assert engine.ready("loaded_early")


def test_a_model_may_reload_and_unload_itself(engine: Engine, caller: str) -> None:
    (pid,) = engine.pids(caller)
    with (engine.repository / caller / "1" / "model.py").open("a") as file:
        file.write("# changed")
    code = """
        pb_utils.load_model(caller)
        result = os.getpid()
    """
    assert run(engine, caller, code, caller=caller) == pid
    assert engine.pids(caller) != [pid]
    assert run(engine, caller, "pb_utils.unload_model(caller)", caller=caller) is None
    assert not engine.ready(caller)
