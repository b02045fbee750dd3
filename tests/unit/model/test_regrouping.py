"""Which instances stay when instance groups change."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.naming import InstanceSpec, instance_specs
from jupyter_pyserve.model.pbtxt import parse_pbtxt
from jupyter_pyserve.model.regrouping import match_instances


def specs(text: str) -> tuple[InstanceSpec, ...]:
    return instance_specs(parse_pbtxt(text, model_name="m", path="p"))


TWO = "instance_group { count: 2 }"
LIMITED = 'rate_limiter { resources [ { name: "R" count: %d } ] }'


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (TWO, TWO, [0, 1]),
        (TWO, "instance_group { count: 4 }", [0, 1, None, None]),
        ("instance_group { count: 4 }", TWO, [0, 1]),
        ("", "instance_group { count: 2 }", [0, None]),
        # names do not matter, but are kept where they can be
        (TWO, 'instance_group { name: "g" count: 2 }', [0, 1]),
        (
            'instance_group { name: "a" } instance_group { name: "b" }',
            'instance_group { name: "c" } instance_group { name: "a" }',
            [1, 0],
        ),
        (TWO, 'instance_group { name: "a" } instance_group { name: "b" }', [0, 1]),
        # all else does
        (TWO, "instance_group { count: 2 kind: KIND_MODEL }", [None, None]),
        (
            "instance_group { count: 2 } instance_group { kind: KIND_MODEL }",
            "instance_group { kind: KIND_MODEL } instance_group { count: 1 }",
            [2, 0],
        ),
        (TWO, 'instance_group { count: 2 host_policy: "h" }', [None, None]),
        (TWO, "instance_group { count: 2 passive: true }", [None, None]),
        (f"instance_group {{ {LIMITED % 2} }}", f"instance_group {{ {LIMITED % 8} }}", [None]),
        (f"instance_group {{ {LIMITED % 2} }}", f"instance_group {{ count: 2 {LIMITED % 2} }}", [0, None]),
    ],
)
def test_who_goes_on_as_whom(before: str, after: str, expected: list[int | None]) -> None:
    assert match_instances(specs(before), specs(after)) == expected
