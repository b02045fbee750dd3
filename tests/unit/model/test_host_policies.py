from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.host_policies import HostPolicy, host_policy, parse_cores

GIVEN = (("near", "cpu-cores", "0-1,4-4"), ("near", "numa-node", "1"), ("far", "cpu-cores", "2-3"))
FORMAT = "host policy setting 'cpu-cores' format is '<lower_cpu_core_id>-<upper_cpu_core_id>'. Got "


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("near", HostPolicy(cores=(0, 1, 4), numa_node=1)),
        ("far", HostPolicy(cores=(2, 3))),
        ("cpu", HostPolicy()),
    ],
)
def test_a_policy_is_what_was_given_under_its_name(name: str, policy: HostPolicy) -> None:
    assert host_policy(name, GIVEN) == policy


def test_what_is_given_last_counts() -> None:
    assert host_policy("far", (*GIVEN, ("far", "cpu-cores", "7-7"))).cores == (7,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1", f"{FORMAT}1"),
        ("0-1,x", f"{FORMAT}x"),
        ("", FORMAT),
        ("x-1", "Parsing 'cpu-cores' value: Can't parse 'x' to integer"),
        ("0-", "Parsing 'cpu-cores' value: Can't parse '' to integer"),
    ],
)
def test_cores_that_cannot_be_read_are_named(text: str, problem: str) -> None:
    with pytest.raises(PyServeError) as caught:
        parse_cores(text)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARG, problem)


def test_a_node_is_a_number() -> None:
    with pytest.raises(PyServeError, match="Parsing 'numa-node' value: Can't parse 'x' to integer"):
        host_policy("p", [("p", "numa-node", "x")])


def test_a_range_is_not_counted_for_ever() -> None:
    assert len(parse_cores("0-99999999999")) < 10_000
