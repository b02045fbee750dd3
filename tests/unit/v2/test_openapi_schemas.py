from __future__ import annotations

import json
import re

from jupyter_pyserve.v2 import openapi
from jupyter_pyserve.v2.openapi_schemas import DATATYPES, SCHEMAS, listed, record, ref


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
