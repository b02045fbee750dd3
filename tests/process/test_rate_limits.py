"""Models that share a resource, with real processes: one executes, the others wait for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.process.client import command, outputs
from tests.process.engine import Engine, running_engine
from tests.process.repository import add_model
from tests.process.waiting import wait_until

LIMIT = 'rate_limiter { resources [ { name: "R" count: 1 } ] }'
SEQUENCES = "sequence_batching { direct {} }"


@pytest.fixture(scope="module")
def limited() -> Iterator[Engine]:
    with running_engine("--rate-limit=execution_count", "--rate-limit-resource=R:1") as engine:
        yield engine


def sharing(engine: Engine, name: str, extra: str = "", limit: str = LIMIT) -> str:
    """Load a puppet that needs R."""
    config = add_model(engine.repository, "puppet", name, extra=extra) / "config.pbtxt"
    config.write_text(config.read_text().replace("kind: KIND_CPU", f"kind: KIND_CPU {limit}"))
    engine.load(name)
    return name


def test_who_shares_waits_and_who_does_not_goes_on(limited: Engine) -> None:
    first, second = sharing(limited, "first"), sharing(limited, "second", SEQUENCES)
    other = sharing(limited, "other", limit="")
    gate = limited.gate()
    held = limited.infer_later(first, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    waiting = limited.infer_later(second, command("pid"), correlation_id=1, flags=3)
    wait_until(lambda: limited.model(second)["versions"][0]["outstanding"] == 1, "the request has arrived")
    outputs(limited.infer(other, command("pid")))
    assert not waiting.done()
    gate.open()
    outputs(held.result(30))
    [pid] = limited.pids(second)
    assert outputs(waiting.result(30))["ANSWER"][0] == str(pid).encode()


def test_a_process_that_dies_keeps_nobody_waiting(limited: Engine) -> None:
    dying, after = sharing(limited, "dying"), sharing(limited, "after")
    gate = limited.gate()
    held = limited.infer_later(dying, command("sleep", gate=str(gate)))
    gate.wait_until_entered()
    waiting = limited.infer_later(after, command("pid"))
    wait_until(lambda: limited.model(after)["versions"][0]["outstanding"] == 1, "the request has arrived")
    [pid] = limited.pids(dying)
    gate.open()
    os.kill(pid, signal.SIGKILL)
    assert held.result(30).status == 500
    outputs(waiting.result(30))
    outputs(limited.infer(dying, command("pid")))


def test_what_could_never_execute_is_not_loaded(limited: Engine) -> None:
    config = add_model(limited.repository, "puppet", "greedy") / "config.pbtxt"
    config.write_text(config.read_text().replace("kind: KIND_CPU", f"kind: KIND_CPU {LIMIT.replace('1', '2')}"))
    answer = limited.http.post("/v2/repository/models/greedy/load")
    assert (answer.status, answer.json()["error"]) == (
        400,
        "load failed for model 'greedy': version 1 is at UNAVAILABLE state: Invalid argument: Resource count for "
        '"R" is limited to 1 which will prevent scheduling of one or more model instances, the minimum required '
        "count is 2;\n",
    )
