from __future__ import annotations

import ast
import json
import shlex

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.notebook.payloads import TensorInfo
from jupyter_pyserve.notebook.snippets import curl_line, curl_request, curl_stream_line, tritonclient_snippet

SMALL: list[TensorInfo] = [{"name": "INPUT0", "datatype": "FP32", "shape": [-1]}]
MIXED: list[TensorInfo] = [
    {"name": "I'm", "datatype": "BYTES", "shape": [-1, 2]},
    {"name": "mask", "datatype": "BOOL", "shape": [1]},
]
LARGE: list[TensorInfo] = [
    {"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]},
    {"name": "half", "datatype": "FP16", "shape": [2]},
]


def _body(line: str) -> object:
    words = shlex.split(line)
    return json.loads(words[words.index("-d") + 1])


def test_a_small_model_is_one_line_of_json() -> None:
    line = curl_line("add_one", SMALL)
    assert line.startswith(
        'curl -s "$PYSERVE_URL/v2/models/add_one/infer" -H "Authorization: token $PYSERVE_TOKEN" -d '
    )
    assert _body(line) == {"inputs": [{"name": "INPUT0", "shape": [1], "datatype": "FP32", "data": [0.5]}]}
    assert _body(curl_line("m", MIXED)) == {
        "inputs": [
            {"name": "I'm", "shape": [1, 2], "datatype": "BYTES", "data": ["text", "text"]},
            {"name": "mask", "shape": [1], "datatype": "BOOL", "data": [False]},
        ]
    }


def test_a_stream_is_asked_for_by_names_of_inputs() -> None:
    line = curl_stream_line("story", MIXED, socket_path="/run/a b")
    assert line is not None
    assert line.startswith("curl -sN --unix-socket '/run/a b' http://localhost/v2/models/story/generate_stream -d ")
    assert _body(line) == {"I'm": ["text", "text"], "mask": [False]}
    assert curl_stream_line("story", LARGE) is None


@pytest.mark.parametrize("inputs", [SMALL, MIXED, LARGE])
def test_the_line_survives_the_exclamation_mark_of_a_cell(shell: InteractiveShell, inputs: list[TensorInfo]) -> None:
    shell.user_ns.update(name="surprise", inputs="surprise", shape=[9])
    line = curl_line("m", inputs)
    expanded = shell.var_expand(line)  # type: ignore[no-untyped-call]
    assert expanded == line


def test_tensors_that_are_large_or_half_go_in_binary() -> None:
    line = curl_line("m", LARGE)
    words = shlex.split(line)
    header = words[2].rstrip(";")
    assert [tensor["parameters"]["binary_data_size"] for tensor in json.loads(header)["inputs"]] == [150528, 4]
    assert f"head -c {150528 + 4} /dev/zero" in line
    assert f"Inference-Header-Content-Length: {len(header)}" in words


def test_a_name_is_quoted_for_the_url_and_the_shell() -> None:
    line = curl_line("a b$(x)'é", SMALL, socket_path="/run/it's/http.sock")
    words = shlex.split(line)
    assert words[words.index("--unix-socket") + 1] == "/run/it's/http.sock"
    assert "http://localhost/v2/models/a%20b%24%28x%29%27%C3%A9/infer" in words


def test_the_python_snippet_is_python_and_takes_its_secrets_from_the_environment() -> None:
    snippet = tritonclient_snippet('m"\n', MIXED, SMALL)
    ast.parse(snippet)
    assert "InferenceServerClient(url)" in snippet
    assert 'os.environ["PYSERVE_TOKEN"]' in snippet
    assert 'set_data_from_numpy(np.full([1, 2], b"text", dtype=object))' in snippet
    assert "ssl=True" in tritonclient_snippet("m", LARGE, SMALL, secure=True)
    assert "np.zeros([2], dtype=np.float16)" in tritonclient_snippet("m", LARGE, SMALL)


def test_a_request_that_is_written_down_is_a_line() -> None:
    tensor = {"name": "X", "shape": [1], "datatype": "BYTES", "data": ["it's"]}
    body = {"id": "r", "parameters": {"k": 1}, "inputs": [tensor]}
    line = curl_request("a/b", body)
    assert line.startswith('curl -s "$PYSERVE_URL/v2/models/a%2Fb/infer"')
    assert json.loads(shlex.split(line)[-1]) == body
    stream = curl_request("add", body, stream=True, socket_path="/run/http.sock")
    assert "generate_stream" in stream
    assert json.loads(shlex.split(stream)[-1]) == {"X": ["it's"], "id": "r", "parameters": {"k": 1}}
