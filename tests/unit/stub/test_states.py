from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.placing import INTERNAL, failure
from pyserve_stub.states import KeepingPlacer, States
from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import CODES

from tests.unit.stub.peer import Peer

START = 1


def states(**more: Any) -> States:
    plain = {"input": "S", "output": "T", "code": CODES["INT32"], "shape": [1, 2], "data": None}
    return States([plain | more])


def seen(found: States, key: int, slot: int | None, flags: int = 0) -> list[Any]:
    return [(tensor.name(), tensor.as_numpy().tolist()) for tensor in found.inputs(key, slot, flags)]


def returned(*values: int, name: str = "T", dtype: Any = np.int32) -> Any:
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, np.array([values], dtype))])


def test_a_sequence_begins_with_zeros_or_with_what_was_given() -> None:
    assert seen(states(), 1, 0, START) == [("S", [[0, 0]])]
    assert seen(states(data="0700000008000000"), 1, 0, START) == [("S", [[7, 8]])]
    strings = states(code=CODES["BYTES"])
    assert seen(strings, 1, 0, START) == [("S", [[b"", b""]])]


def test_what_was_returned_is_given_next_time() -> None:
    found = states()
    seen(found, 1, 0, START)
    found.keep(1, returned(3, 4))
    assert seen(found, 2, 0) == [("S", [[3, 4]])]
    found.keep(2, returned(9, name="OTHER"))
    assert seen(found, 3, 0) == [("S", [[3, 4]])]  # nothing was returned for it
    found.keep(3, returned(5, 6, 7))
    assert seen(found, 4, 0) == [("S", [[5, 6, 7]])]


def test_slots_are_apart_and_start_anew() -> None:
    found = states()
    for key, slot in ((1, 0), (2, 1)):
        seen(found, key, slot, START)
        found.keep(key, returned(key, key))
    assert [seen(found, key, slot)[0][1] for key, slot in ((3, 0), (4, 1))] == [[[1, 1]], [[2, 2]]]
    assert seen(found, 5, 0, START) == [("S", [[0, 0]])]


def test_a_request_may_do_with_its_state_as_it_likes() -> None:
    found = states()
    (tensor,) = found.inputs(1, 0, START)
    array = np.array([[1, 2]], np.int32)
    response: Any = pb_utils.InferenceResponse([pb_utils.Tensor("T", array)])
    found.keep(1, response)
    tensor.as_numpy()[:] = 9
    array[:] = 9
    assert seen(found, 2, 0) == [("S", [[1, 2]])]


def test_what_changes_nothing() -> None:
    failed: Any = pb_utils.InferenceResponse([], pb_utils.TritonError("no"))
    found = states()
    assert seen(found, 1, None) == [("S", [[0, 0]])]  # it only fills a slot
    found.keep(1, returned(1, 1))
    seen(found, 2, 0, START)
    found.keep(2, failed)
    seen(found, 3, 0)
    found.keep(2, returned(1, 1))  # too late: the next one has it by now
    assert seen(found, 4, 0) == [("S", [[0, 0]])]


def test_a_state_has_the_type_that_was_said() -> None:
    found = states()
    seen(found, 1, 0, START)
    with pytest.raises(ValueError, match="'T' is FP32, not INT32"):
        found.keep(1, returned(1, 1, dtype=np.float32))


def test_a_response_whose_state_cannot_be_kept_is_an_error() -> None:
    peer = Peer()
    found = states()
    seen(found, 1, 0, START)
    placer = KeepingPlacer(peer.session, 0.0, found)
    frame: Any = (1,)
    failed = placer.respond(frame, frozenset(), returned(1, 1, dtype=np.float32))
    reason = "Failed to keep the state of the sequence: 'T' is FP32, not INT32"
    assert failed == failure(1, INTERNAL, reason, frames.FINAL)
    peer.close()
