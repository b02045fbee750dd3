from __future__ import annotations

from typing import Any

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.widgets.api import form
from jupyter_pyserve.notebook.widgets.form import Form
from tests.unit.notebook.fake_engine import MODEL, FakeEngine
from tests.unit.notebook.widgets.conftest import FrontEnd
from tests.unit.notebook.widgets.waiting import live_threads_end

ANSWER = {"outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1], "data": [2.0]}]}


@pytest.fixture
def shown(engine: FakeEngine, front_end: FrontEnd) -> Form:
    engine.answer("GET", "/v2/models/add_one", json={"name": "add_one", "inputs": MODEL["inputs"], "outputs": []})
    engine.answer("GET", "/v2/models/add_one/config", json={"name": "add_one", "input": []})
    engine.answer("POST", "/v2/models/add_one/infer", json=ANSWER)
    live = form("add_one")
    live.show()
    return live


def hear(live: Form, **message: Any) -> None:
    live._widget._handle_custom_msg({"view": "v", **message}, [])


def test_a_view_gets_the_fields(shown: Form, front_end: FrontEnd) -> None:
    hear(shown, type="visible")
    (message,) = front_end.of("form")
    assert [(field["name"], field["optional"]) for field in message["fields"]] == [("INPUT0", False)]
    assert message["outcome"]["text"] == "not asked yet"


def test_inputs_may_be_optional(shown: Form, front_end: FrontEnd, engine: FakeEngine) -> None:
    config = {"name": "add_one", "input": [{"name": "INPUT0", "optional": True}, {"name": "other"}]}
    engine.answer("GET", "/v2/models/add_one/config", json=config)
    hear(shown, type="visible")
    (message,) = front_end.of("form")
    assert [field["optional"] for field in message["fields"]] == [True]


def test_it_asks_and_keeps_the_answer(shown: Form, front_end: FrontEnd) -> None:
    hear(shown, type="infer", values={"INPUT0": "[1]"}, id="r", parameters="")
    live_threads_end()
    (response,) = front_end.of("response")
    assert response["outputs"] == [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1], "text": "[2.]"}]
    (done,) = front_end.of("done")
    assert done["outcome"]["text"].startswith("1 response in ")
    assert "OUTPUT0" in front_end.html
    assert front_end.html.index(">output</th>") < front_end.html.index(">[2.]</td>")
    assert "OUTPUT0" in repr(shown)


def test_an_error_is_shown(shown: Form, front_end: FrontEnd, engine: FakeEngine) -> None:
    engine.answer("POST", "/v2/models/add_one/infer", status=400, json={"error": "<b>no</b>"})
    hear(shown, type="infer", values={"INPUT0": "[1]"})
    live_threads_end()
    assert front_end.of("done")[0]["outcome"] == {"text": "", "error": "<b>no</b>"}
    assert "&lt;b&gt;no" in front_end.html


def test_what_is_wrong_is_told_before_anything_is_asked(shown: Form, front_end: FrontEnd, engine: FakeEngine) -> None:
    hear(shown, type="infer", values={"INPUT0": "[", "other": "1"})
    assert "INPUT0" in front_end.of("invalid")[0]["fields"]
    assert not any(request.path.endswith("/infer") for request in engine.requests)


def test_it_can_be_copied(shown: Form, front_end: FrontEnd) -> None:
    hear(shown, type="copy", values={"INPUT0": "[1]"}, **{"as": "python"})
    hear(shown, type="copy", values={"INPUT0": "[1]"}, **{"as": "curl"})
    python, curl = (message["text"] for message in front_end.of("copied"))
    assert python.endswith("pyserve.model('add_one')(INPUT0=[1.0])")
    assert curl.startswith('curl -s "$PYSERVE_URL/v2/models/add_one/infer"')
    assert "s3cret" not in curl


def test_a_model_that_is_unknown_is_an_error(engine: FakeEngine) -> None:
    engine.answer("GET", "/v2/models/nobody", status=404, json={"error": "unknown"})
    with pytest.raises(PyServeError, match="unknown"):
        form("nobody")
