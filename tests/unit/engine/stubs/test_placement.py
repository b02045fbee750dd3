from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.stubs.placement import Placed, place_of
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import instance_specs, parse_pbtxt

MINE = sorted(os.sched_getaffinity(0))
FIRST = f"{MINE[0]}-{MINE[0]}"
NOWHERE = "8190-8191"


def place(extra: str = "", *policies: tuple[str, str]) -> Any:
    """Of an instance of the policy "p"."""
    text = f'backend: "python" instance_group {{ kind: KIND_CPU host_policy: "p" }} {extra}'
    config = parse_pbtxt(text, model_name="m", path="config.pbtxt")
    (spec,) = instance_specs(config)
    return place_of(spec, config, [("p", *policy) for policy in policies])


def test_an_instance_runs_anywhere_unless_something_is_said() -> None:
    assert place() is None
    assert place("optimization { priority: PRIORITY_MAX }") is None


def test_a_policy_names_processors() -> None:
    assert place("", ("cpu-cores", FIRST)) == {"cores": (MINE[0],), "nice": 0}
    assert sorted(os.sched_getaffinity(0)) == MINE  # asking changes nothing here


def test_the_lowest_priority_gives_way() -> None:
    assert place("optimization { priority: PRIORITY_MIN }") == {"cores": None, "nice": 19}


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("cpu-cores", NOWHERE, "Unable to set NUMA thread affinity: Invalid argument"),
        ("numa-node", "999", "Unable to set NUMA memory policy: No such file or directory"),
    ],
)
def test_what_is_not_there_is_refused(setting: str, value: str, text: str) -> None:
    with pytest.raises(PyServeError) as caught:
        place("", (setting, value))
    assert (caught.value.code, caught.value.message) == (Code.INTERNAL, text)


@pytest.mark.skipif(not os.path.isdir("/sys/devices/system/node/node0"), reason="no nodes are shown here")
def test_a_node_is_its_processors_unless_some_are_named() -> None:
    everywhere = place("", ("numa-node", "0"))
    assert set(everywhere["cores"]) & set(MINE)
    assert place("", ("numa-node", "0"), ("cpu-cores", FIRST))["cores"] == (MINE[0],)


def test_a_process_is_made_in_its_place() -> None:
    told: list[Any] = []

    class Spawner:
        async def spawn(self, *given: Any, place: Any) -> int:
            told.extend((*given, place))
            return 7

    def on_exit(status: int) -> None: ...

    there = {"cores": (1,), "nice": 0}
    spawner = Placed(cast(Any, Spawner()), there)
    assert asyncio.run(spawner.spawn(("stub",), (3,), on_exit)) == 7
    assert told == [("stub",), (3,), on_exit, there]
