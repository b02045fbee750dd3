"""Implicit state of sequences, end to end."""

from __future__ import annotations

import numpy as np
import pytest

from tests.process.client import Answer, outputs
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.repository import add_model

START, END = 1, 2
STATE = 'state { input_name: "BEFORE" output_name: "AFTER" data_type: TYPE_INT32 dims: [ 1 ] %s }'
OLDEST = "oldest { max_candidate_sequences: 4 }"


def batching(strategy: str, initial: str = "") -> str:
    return f"sequence_batching {{ {strategy} {STATE % initial} }}"


def send(engine: Engine, name: str, sequence: int, added: int, flags: int = 0) -> Answer:
    return engine.infer(name, {"ADD": np.array([[added]], np.int32)}, correlation_id=sequence, flags=flags)


def totals(engine: Engine, name: str, sequence: int, *added: int) -> list[int]:
    """A whole sequence, one request after the other."""
    flags = [0] * len(added)
    flags[0] |= START
    flags[-1] |= END
    return [int(outputs(send(engine, name, sequence, value, flag))["TOTAL"][0, 0]) for value, flag in zip(added, flags)]


@pytest.mark.parametrize("strategy", ["direct {}", OLDEST, ""])
def test_the_state_goes_from_request_to_request(engine: Engine, strategy: str) -> None:
    name = loaded(engine, "stateful", extra=batching(strategy))
    assert totals(engine, name, 1, 1, 2, 3) == [1, 3, 6]
    assert totals(engine, name, 1, 5, 5) == [5, 10]
    for sequence in (1, 2):  # side by side
        outputs(send(engine, name, sequence, 10 * sequence, START))
    for sequence in (1, 2):
        assert outputs(send(engine, name, sequence, 1, END))["TOTAL"].tolist() == [[10 * sequence + 1]]
    engine.unload(name)


def test_an_error_leaves_the_state_as_it_was(engine: Engine) -> None:
    name = loaded(engine, "stateful", extra=batching("direct {}"))
    outputs(send(engine, name, 1, 4, START))
    assert send(engine, name, 1, -1).error == "negative"
    assert outputs(send(engine, name, 1, 1, END))["TOTAL"].tolist() == [[5]]
    engine.unload(name)


def test_a_state_that_is_not_an_output_is_not_shown(engine: Engine) -> None:
    name = loaded(engine, "stateful", extra=batching("direct {}"))
    assert list(outputs(send(engine, name, 1, 4, START | END))) == ["TOTAL"]
    engine.unload(name)


def test_the_first_state_may_come_from_a_file(engine: Engine) -> None:
    initial = 'initial_state { name: "i" data_type: TYPE_INT32 dims: [ 1 ] data_file: "first" }'
    folder = add_model(engine.repository, "stateful", "seeded", extra=batching("direct {}", initial))
    answer = engine.http.post("/v2/repository/models/seeded/load")
    assert answer.status == 400
    assert "failed to open text file for read" in answer.json()["error"]
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "first").write_bytes(np.array([100], np.int32).tobytes())
    engine.load("seeded")
    assert totals(engine, "seeded", 1, 1, 2) == [101, 103]
    assert totals(engine, "seeded", 2, 1) == [101]
    engine.unload("seeded")
