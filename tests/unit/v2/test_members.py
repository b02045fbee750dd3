from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import members


@pytest.mark.parametrize(
    ("read", "good", "bad", "text"),
    [
        (members.string, "a", 5, members.NOT_STRING),
        (members.array, [1], "a", members.NOT_ARRAY),
        (members.boolean, True, 1, members.NOT_BOOL),
        (members.unsigned, 2**64 - 1, True, members.NOT_UINT),
        (members.unsigned, 0, -1, members.NOT_UINT),
    ],
)
def test_access(read: Callable[[dict[str, Any], str], object], good: object, bad: object, text: str) -> None:
    assert read({"x": good}, "x") == good
    with pytest.raises(PyServeError) as caught:
        read({"x": bad}, "x")
    assert (caught.value.code, caught.value.message) == (Code.INTERNAL, f"Unable to parse 'x': {text}")
    with pytest.raises(PyServeError) as caught:
        read({}, "x")
    assert caught.value.message == "Unable to parse 'x': attempt to access non-existing object member 'x'"


def test_what_is_no_object_has_no_members() -> None:
    assert members.object_or_empty([1]) == {}
    assert members.object_or_empty({"a": 1}) == {"a": 1}


def test_shapes() -> None:
    assert members.dimensions({"shape": [0, 2**63]}) == (0, 2**63)
    assert members.dimensions({"shape": []}) == ()
