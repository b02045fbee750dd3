from __future__ import annotations

import json
import re

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2 import openapi
from jupyter_pyserve.v2.openapi_schemas import DATATYPES, SCHEMAS, listed, record, ref
from jupyter_pyserve.v2.tracesettings import TraceChanges, parse_trace_update


def test_every_schema_is_used_and_there() -> None:
    text = openapi.document("0").decode()
    used = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert used == set(SCHEMAS)


def test_datatypes_are_those_of_the_protocol() -> None:
    assert len(DATATYPES) == len(set(DATATYPES)) == 14


def test_a_record_asks_for_what_is_required_only() -> None:
    shape = record({"name": {"type": "string"}}, {"tags": listed(ref("Error"))})
    assert json.loads(json.dumps(shape)) == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "tags": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
        },
        "required": ["name"],
    }
    assert "required" not in record({})


def test_levels_of_traces_are_a_list_or_nothing() -> None:
    described = SCHEMAS["TraceUpdate"]["properties"]["trace_level"]["type"]
    for kind, body in (("array", b'{"trace_level":["OFF"]}'), ("null", b'{"trace_level":null}')):
        assert kind in described
        parse_trace_update(body, TraceChanges())
    assert "string" not in described
    with pytest.raises(PyServeError):
        parse_trace_update(b'{"trace_level":"OFF"}', TraceChanges())
