from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyserve_stub
import pytest
import triton_python_backend_utils as pb_utils

STUB = Path(pyserve_stub.__file__).resolve().parents[1]

NAMES = [
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "TRITON_STRING_TO_NUMPY",
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_model_dir",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "is_model_ready",
    "load_model",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "unload_model",
    "using_decoupled_model_transaction_policy",
    "json",
    "np",
    "struct",
]

NATIVE_NAMES = [
    "COUNTER",
    "GAUGE",
    "HISTOGRAM",
    "InferenceRequest",
    "InferenceResponse",
    "InferenceResponseSender",
    "InferenceTrace",
    "Logger",
    "MemoryType",
    "Metric",
    "MetricFamily",
    "MetricKind",
    "PreferredMemory",
    "ResponseIterator",
    "SharedMemory",
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "async_event_future_done_callback",
    "is_model_ready",
    "load_model",
    "shared_memory",
    "unload_model",
]


def test_the_names() -> None:
    assert set(NAMES) <= set(dir(pb_utils))
    assert sorted(vars(pb_utils)["__all__"]) == sorted(NAMES)
    assert not hasattr(pb_utils, "Metric")


def test_the_type_stub_has_the_same_names() -> None:
    typed = (STUB / "triton_python_backend_utils.pyi").read_text(encoding="utf-8")
    assert [name for name in NAMES if name not in typed.replace("import numpy as np", "np")] == []


def test_the_names_of_the_native_module() -> None:
    native = sys.modules["c_python_backend_utils"]
    assert sorted(name for name in vars(native) if not name.startswith("__")) == sorted(NATIVE_NAMES)
    for name in NATIVE_NAMES:
        member = getattr(native, name)
        if isinstance(member, type):
            assert (member.__module__, member.__qualname__) == ("c_python_backend_utils", name)
        if hasattr(pb_utils, name):
            assert getattr(pb_utils, name) is member
    assert str(type(native.shared_memory)) == "<class 'c_python_backend_utils.SharedMemory'>"


def test_the_constants() -> None:
    assert pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START == 1
    assert pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END == 2
    assert pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL == 1
    assert pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL == 1
    assert pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE == 2
    assert pb_utils.TRITONSERVER_MEMORY_GPU.value == 0
    assert pb_utils.TRITONSERVER_MEMORY_CPU.value == 1


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array(["a", None, 1, b"x"], object), b"\x01\0\0\0a\x04\0\0\0None\x01\0\0\x001\x01\0\0\0x"),
        (np.array([b"ab\0", b"c"]), b"\x02\0\0\0ab\x01\0\0\0c"),
        (np.array([], object), ()),
        (np.array([], "f4"), ()),
        (np.array(["a"]), None),
        (np.array([1]), None),
    ],
)
def test_serialize(array: Any, expected: Any) -> None:
    assert pb_utils.serialize_byte_tensor(array) == expected


def test_deserialize() -> None:
    array = pb_utils.deserialize_bytes_tensor(b"\x01\0\0\0a\x02\0\0\0bc")
    assert (array.dtype, array.tolist()) == (object, [b"a", b"bc"])
    with pytest.raises(struct.error):
        pb_utils.deserialize_bytes_tensor(b"\x05\0\0\0ab")


def test_tensors_by_name() -> None:
    first, second = pb_utils.Tensor("a", np.zeros(1)), pb_utils.Tensor("a", np.ones(1))
    request = pb_utils.InferenceRequest(inputs=[first, second], requested_output_names=[], model_name="m")
    response = pb_utils.InferenceResponse([first, second])
    assert pb_utils.get_input_tensor_by_name(request, "a") is first
    assert pb_utils.get_input_tensor_by_name(request, "b") is None
    assert pb_utils.get_output_tensor_by_name(response, "a") is first
    assert pb_utils.get_output_tensor_by_name(response, "b") is None


def test_entries_of_a_configuration() -> None:
    config: dict[str, Any] = {"input": [{"name": "a", "x": 1}], "output": [{"name": "b"}]}
    assert pb_utils.get_input_config_by_name(config, "a") is config["input"][0]
    assert pb_utils.get_output_config_by_name(config, "b") is config["output"][0]
    for get in (pb_utils.get_input_config_by_name, pb_utils.get_output_config_by_name):
        assert get(config, "c") is None
        assert get({}, "a") is None


def test_decoupled_by_configuration() -> None:
    using = pb_utils.using_decoupled_model_transaction_policy
    assert using({}) is False
    assert using({"model_transaction_policy": {"decoupled": True}}) is True
    with pytest.raises(KeyError, match="decoupled"):
        using({"model_transaction_policy": {}})


NUMBERS = ["b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "O"]


@pytest.mark.parametrize(("number", "dtype"), list(enumerate(NUMBERS, start=1)))
def test_datatype_numbers(number: int, dtype: str) -> None:
    assert pb_utils.triton_to_numpy_type(number) is np.dtype(dtype).type
    assert pb_utils.numpy_to_triton_type(np.dtype(dtype)) == number
    assert pb_utils.numpy_to_triton_type(np.dtype(dtype).type) == number


@pytest.mark.parametrize("number", [-1, 0, 14])
def test_other_numbers(number: int) -> None:
    assert pb_utils.triton_to_numpy_type(number) is None


@pytest.mark.parametrize(
    "other", [bool, object, bytes, str, "float32", complex, np.str_, np.dtype("S3"), np.longdouble]
)
def test_other_types(other: Any) -> None:
    assert pb_utils.numpy_to_triton_type(other) is None


def test_bytes_are_strings() -> None:
    assert pb_utils.numpy_to_triton_type(np.bytes_) == 13


@pytest.mark.parametrize(
    ("text", "expected"), [("TYPE_BOOL", bool), ("TYPE_STRING", np.object_), ("TYPE_FP16", np.float16)]
)
def test_types_by_name(text: str, expected: type) -> None:
    assert pb_utils.triton_string_to_numpy(text) is expected


@pytest.mark.parametrize("text", ["TYPE_BF16", "FP32", ""])
def test_other_names(text: str) -> None:
    with pytest.raises(KeyError):
        pb_utils.triton_string_to_numpy(text)


def test_without_a_server_the_model_dir_is_the_callers() -> None:
    assert pb_utils.get_model_dir() == str(Path(__file__).resolve().parent)


class AddOne:
    """What a user's model looks like."""

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "x")
            if tensor is None:
                error = pb_utils.TritonError("no x", pb_utils.TritonError.INVALID_ARG)
                responses.append(pb_utils.InferenceResponse(error=error))
                continue
            pb_utils.Logger.log_info("adding")
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", tensor.as_numpy() + 1)]))
        return responses


def test_a_model_is_tested_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    tensor = pb_utils.Tensor("x", np.array([1.0, 2.0], np.float32))
    requests = [
        pb_utils.InferenceRequest(inputs=inputs, requested_output_names=["y"], model_name="m")
        for inputs in ([tensor], [])
    ]
    good, bad = AddOne().execute(requests)
    output = pb_utils.get_output_tensor_by_name(good, "y")
    assert output is not None
    assert output.as_numpy().tolist() == [2.0, 3.0]
    error = bad.error()
    assert error is not None
    assert (error.message(), error.code().name) == ("no x", "INVALID_ARG")
    assert capsys.readouterr().err.endswith("]  adding\n")


SCRIPT = """
import json, sys
{first}
import triton_python_backend_utils as pb
import c_python_backend_utils as native
print(json.dumps([getattr(native, "mark", None), "asyncio" in sys.modules, "jupyter_pyserve" in sys.modules]))
"""


def fresh_interpreter(first: str) -> Any:
    command = [sys.executable, "-c", SCRIPT.format(first=first)]
    done = subprocess.run(command, env={"PYTHONPATH": str(STUB)}, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_the_import_needs_nothing_of_the_server() -> None:
    assert fresh_interpreter("") == [None, False, False]


def test_the_native_module_of_a_real_stub_is_left_alone() -> None:
    first = "import types; m = sys.modules['c_python_backend_utils'] = types.ModuleType('c'); m.mark = 'real'"
    assert fresh_interpreter(first)[0] == "real"
