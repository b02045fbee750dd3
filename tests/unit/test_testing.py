from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.host import Host

from jupyter_pyserve import testing
from tests.unit.stub.hosting import in_charge

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def request(number: float = 0) -> pb_utils.InferenceRequest:
    tensor = pb_utils.Tensor("IN", np.array([number], np.float32))
    return pb_utils.InferenceRequest(inputs=[tensor], requested_output_names=["OUT"], model_name="m")


def out(array: Any) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)])


def numbers(responses: list[pb_utils.InferenceResponse]) -> list[float]:
    return [float(item.output_tensors()[0].as_numpy()[0]) for item in responses]


class Repeat:
    """What a user would test."""

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        data = np.zeros(1, np.float32)
        for item in requests:
            sender = item.get_response_sender()
            for _ in range(int(item.inputs()[0].as_numpy()[0])):
                sender.send(out(data))
                data += 1
            sender.send(flags=FINAL)


def test_what_a_model_sends_can_be_looked_at() -> None:
    requests = [request(2), request(0), request(1)]
    Repeat().execute(requests)
    assert [numbers(testing.responses(item)) for item in requests] == [[0, 1], [], [2]]


def test_a_thread_is_waited_for() -> None:
    asked = request()
    sender, go = asked.get_response_sender(), threading.Event()

    def send() -> None:
        sender.send(out(np.ones(1, np.float32)))
        go.wait()
        sender.send(flags=FINAL)

    thread = threading.Thread(target=send)
    thread.start()
    while not testing.sent(asked):
        pass
    assert not testing.finished(asked)
    go.set()
    assert numbers(testing.responses(asked)) == [1]
    assert testing.finished(asked)
    thread.join()


def test_coroutines_send_too() -> None:
    async def execute(requests: list[pb_utils.InferenceRequest]) -> None:
        await asyncio.sleep(0)
        requests[0].get_response_sender().send(out(np.ones(1, np.float32)), FINAL)

    asked = request()
    asyncio.run(execute([asked]))
    assert numbers(testing.responses(asked)) == [1]


def test_a_forgotten_final_is_named() -> None:
    asked = request()
    asked.get_response_sender().send(out(np.ones(1, np.float32)))
    with pytest.raises(TimeoutError, match="sent 1 responses, but not TRITONSERVER_RESPONSE_COMPLETE_FINAL"):
        testing.responses(asked, timeout_s=0)


def test_errors_and_parameters_are_kept() -> None:
    asked = request()
    sender = asked.get_response_sender()
    sender.send(pb_utils.InferenceResponse([], parameters={"a": 1}))
    sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("no")), FINAL)
    first, second = testing.responses(asked)
    assert first.parameters() == '{"a": 1}'
    error = second.error()
    assert error is not None
    assert error.message() == "no"


def test_the_rules_of_senders_hold() -> None:
    sender = request().get_response_sender()
    with pytest.raises(pb_utils.TritonModelException, match="must be provided"):
        sender.send()
    sender.send(flags=FINAL)
    with pytest.raises(pb_utils.TritonModelException, match="has been closed"):
        sender.send(flags=FINAL)
    assert not sender.is_cancelled()


def test_strings_are_kept() -> None:
    asked = request()
    asked.get_response_sender().send(out(np.array([b"a", "b"], object)), FINAL)
    (response,) = testing.responses(asked)
    assert response.output_tensors()[0].as_numpy().tolist() == [b"a", "b"]


def test_a_server_collects_nothing() -> None:
    with in_charge(Host()):
        asked = request()
        with pytest.raises(ValueError, match="goes to a server"):
            testing.sent(asked)
        with pytest.raises(pb_utils.TritonModelException, match="no reference to the decoupled state"):
            asked.get_response_sender().send(flags=FINAL)
