"""Log and trace settings in protobuf maps, with the texts that Triton's gRPC front end has for wrong ones."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.settings import LogFormat, LogSettings, TraceMode, TraceSettings
from jupyter_pyserve.v2.protobuf_settings import log_changes, log_response, trace_changes, trace_response
from jupyter_pyserve.v2.tracesettings import TraceChanges

messages = service_messages()


def log(**given: tuple[str, Any]) -> Any:
    request = messages.LogSettingsRequest()
    for name, (kind, value) in given.items():
        setattr(request.settings[name], kind, value)
    return request.settings


def trace(**given: list[str]) -> Any:
    request = messages.TraceSettingRequest()
    for name, values in given.items():
        request.settings[name].value.extend(values)
    return request.settings


def test_log_settings() -> None:
    given = log(
        log_info=("bool_param", False),
        log_verbose_level=("uint32_param", 3),
        log_format=("string_param", "ISO8601"),
        unknown=("uint32_param", 1),
    )
    found = log_changes(given, LogSettings())
    assert found == LogSettings(info=False, verbose_level=3, format=LogFormat.ISO8601)
    told = log_response(found)["settings"]
    assert told["log_info"] == {"bool_param": False}
    assert told["log_verbose_level"] == {"uint32_param": 3}
    assert told["log_file"] == {"string_param": ""}


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        (
            {"log_file": ("string_param", "x")},
            Code.UNSUPPORTED,
            "log file location can not be updated through network protocol",
        ),
        ({"log_info": ("string_param", "x")}, Code.INVALID_ARG, "expect boolean for 'log_info'"),
        ({"log_verbose_level": ("bool_param", True)}, Code.INVALID_ARG, "expect int32 for 'log_verbose_level'"),
        ({"log_format": ("uint32_param", 1)}, Code.INVALID_ARG, "expect string for 'log_format'"),
        ({"log_format": ("string_param", "zz")}, Code.INVALID_ARG, "invalid argument for log_format, got: zz"),
    ],
)
def test_wrong_log_settings(given: dict[str, Any], code: Code, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        log_changes(log(**given), LogSettings())
    assert (refusal.value.code, refusal.value.message) == (code, text)


def test_trace_settings() -> None:
    given = trace(trace_level=["TENSORS", "NOPE"], trace_rate=["5"], trace_count=[])
    found = trace_changes(given, TraceChanges(count=3))
    assert found == TraceChanges(levels=("TENSORS",), rate=5)
    told = trace_response(found.over(TraceSettings()))["settings"]
    assert told["trace_level"] == {"value": ["TENSORS"]}
    assert told["trace_rate"] == {"value": ["5"]}


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        (
            {"trace_file": ["x"]},
            Code.UNSUPPORTED,
            "trace file location can not be updated through network protocol",
        ),
        ({"trace_rate": ["1", "2"]}, Code.INVALID_ARG, "expect only 1 value for 'trace_rate'"),
        ({"trace_rate": ["abc"]}, Code.INVALID_ARG, "Unable to parse 'trace_rate', got: abc"),
        ({"trace_count": ["-2"]}, Code.INVALID_ARG, "Unable to parse 'trace_count'. Expecting value >= -1, got: -2"),
    ],
)
def test_wrong_trace_settings(given: dict[str, list[str]], code: Code, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        trace_changes(trace(**given), TraceChanges())
    assert (refusal.value.code, refusal.value.message) == (code, text)


def test_settings_of_spans_are_lists() -> None:
    options = (("resource", "a=b"), ("resource", "c=d"))
    told = trace_response(TraceSettings(mode=TraceMode.OPENTELEMETRY, options=options))["settings"]
    assert told["resource"] == {"value": ["a=b", "c=d"]}
    assert told["trace_mode"] == {"value": ["opentelemetry"]}
    assert "trace_file" not in told
