from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from pyserve_stub.collected import Collected

from tests.unit.stub.peer import started


def response(array: Any) -> Any:
    return pb_utils.InferenceResponse([pb_utils.Tensor("O", array)])


def test_nothing_was_sent_yet() -> None:
    collected = Collected()
    assert (collected.responses, collected.final, collected.wait(0)) == ([], False, False)


def test_responses_are_as_they_were_when_they_were_sent() -> None:
    collected = Collected()
    array = np.array([1, 2])
    collected.add(response(array), False)
    array[:] = 9
    collected.add(None, True)
    (found,) = collected.responses
    assert found.output_tensors()[0].as_numpy().tolist() == [1, 2]
    assert collected.wait(0)


def test_who_waits_is_woken_by_the_last() -> None:
    collected = Collected()
    thread, results = started(lambda: collected.wait(60))
    while not collected._changed._waiters:  # type: ignore[attr-defined]
        assert thread.is_alive()
    collected.add(None, True)
    thread.join()
    assert results == [True]
