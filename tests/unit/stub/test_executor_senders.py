from __future__ import annotations

import threading
from typing import Any

import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.wire import frames

from tests.unit.stub.rig import BROKEN, ONE, PREFIX, SECOND, Rig, respond, stop

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


@pytest.mark.parametrize("returned", [None, [None]])
def test_a_response_may_be_sent_instead_of_returned(stub: Rig, returned: Any) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(OUT=ONE), FINAL)
        return returned

    answer, over = stub.run(execute)
    assert (answer.outputs["OUT"].tolist(), answer.flags) == ([1.5], frames.FINAL)
    assert (over.key, over.flags) == (answer.key, frames.DEFERRED | frames.INPUTS_RELEASED)


def test_final_may_follow_the_response(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        sender = requests[0].get_response_sender()
        sender.send(respond(OUT=ONE))
        sender.send(flags=FINAL)

    assert stub.replies(execute)[0].outputs["OUT"].tolist() == [1.5]


def test_some_may_be_sent_and_others_returned(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE), FINAL)
        return [None, respond(B=ONE)]

    first, second = stub.replies(execute, stub.request(), stub.request())
    assert (list(first.outputs), list(second.outputs)) == (["A"], ["B"])


def test_a_thread_may_send_later(stub: Rig) -> None:
    senders: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        senders.append(requests[0].get_response_sender())

    (deferred,) = stub.run(execute)
    assert deferred.flags == frames.DEFERRED | frames.INPUTS_RELEASED
    thread = threading.Thread(target=lambda: senders.pop().send(respond(OUT=ONE), FINAL))
    thread.start()
    thread.join()
    (answer,) = stub.answers()
    assert (answer.key, answer.outputs["OUT"].tolist(), answer.flags) == (deferred.key, [1.5], frames.FINAL)


def test_a_thread_may_ask_for_the_sender_after_execute_returned(stub: Rig) -> None:
    kept: list[Any] = []
    (deferred,) = stub.run(kept.extend)
    assert deferred.flags == frames.DEFERRED | frames.INPUTS_RELEASED
    kept.pop().get_response_sender().send(respond(OUT=ONE), FINAL)
    (answer,) = stub.answers()
    assert (answer.key, answer.outputs["OUT"].tolist()) == (deferred.key, [1.5])


@pytest.mark.parametrize("ask", [True, False])
def test_a_request_that_nobody_can_answer_fails(stub: Rig, ask: bool) -> None:
    def execute(requests: list[Any]) -> Any:
        if ask:
            requests[0].get_response_sender()

    answer, deferred = stub.run(execute)
    assert deferred.flags == frames.DEFERRED | frames.INPUTS_RELEASED
    assert (answer.key, answer.code, answer.flags) == (deferred.key, 2, frames.FINAL)
    assert answer.text == (
        "nothing can answer this request any more: execute returned no response for it, and its response sender was "
        "dropped without FINAL"
    )


def test_an_error_may_be_sent(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        error = pb_utils.TritonError("no", pb_utils.TritonError.NOT_FOUND)
        requests[0].get_response_sender().send(pb_utils.InferenceResponse(error=error), FINAL)

    (answer,) = stub.replies(execute)
    assert (answer.code, answer.text) == (3, "no")


def test_a_sender_comes_too_late_when_a_response_was_returned(stub: Rig) -> None:
    senders: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        senders.append(requests[0].get_response_sender())
        return [respond(A=ONE)]

    assert list(stub.run(execute)[0].outputs) == ["A"]
    with pytest.raises(pb_utils.TritonModelException) as caught:
        senders[0].send(respond(B=ONE), FINAL)
    assert str(caught.value) == SECOND
    senders.clear()
    assert stub.told() == []


def test_a_sender_that_was_asked_for_after_the_answer_reaches_nobody(stub: Rig) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.extend(requests)
        return [respond(A=ONE)]

    stub.run(execute)
    kept[0].get_response_sender().send(respond(B=ONE), FINAL)
    kept.clear()
    assert stub.answers() == []
    assert stub.session.arena_used == 64


def test_what_was_sent_with_final_is_delivered_even_if_a_response_is_returned_too(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE), FINAL)
        return [respond(B=ONE), respond(B=ONE)]

    first, second = stub.replies(execute, stub.request(), stub.request())
    assert (list(first.outputs), first.code) == (["A"], 0)
    assert (second.code, second.text) == (2, PREFIX + SECOND)


def test_what_was_sent_with_final_is_delivered_even_if_execute_raises(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE), FINAL)
        raise ValueError("boom")

    first, over, second = stub.run(execute, stub.request(), stub.request())
    assert list(first.outputs) == ["A"]
    assert second.text.startswith(PREFIX + "ValueError: boom")
    assert over.flags & second.flags & frames.BATCH_FAILED


def test_what_was_sent_without_final_is_the_answer_if_execute_raises(stub: Rig) -> None:
    senders: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        senders.append(requests[0].get_response_sender())
        senders[0].send(respond(A=ONE))
        raise ValueError("boom")

    (answer,) = stub.run(execute)
    assert (answer.code, answer.flags, answer.outputs["A"].tolist()) == (0, BROKEN, [1.5])
    with pytest.raises(pb_utils.TritonModelException, match="Response sender has been closed"):
        senders[0].send(flags=FINAL)
    assert stub.told() == []


def test_a_response_sent_without_final_and_dropped_fails(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE))

    answer, deferred = stub.run(execute)
    assert deferred.flags & frames.DEFERRED
    assert (answer.code, answer.outputs) == (2, {})
    assert stub.session.arena_used == 0


def test_a_second_response_through_the_sender_fails_the_batch(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        sender = requests[0].get_response_sender()
        sender.send(respond(A=ONE))
        sender.send(respond(A=ONE), FINAL)

    stub.execute(execute, stub.request())
    log, answers = stub.told()
    (answer,) = stub.read(answers)
    assert (answer.code, answer.flags, answer.outputs["A"].tolist()) == (0, BROKEN, [1.5])
    assert f"TritonModelException: {SECOND}" in frames.decode_cold(log)["text"]


def test_a_coroutine_may_send_too(stub: Rig) -> None:
    async def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(OUT=ONE), FINAL)

    assert stub.replies(execute)[0].outputs["OUT"].tolist() == [1.5]
    stop(stub)


def test_cancellation_is_seen_while_a_model_executes(stub: Rig) -> None:
    request = stub.request()
    seen: list[bool] = []

    def execute(requests: list[Any]) -> Any:
        seen.append(requests[0].is_cancelled())
        stub.sock.send(frames.encode_keys(frames.CANCEL, (request.key,)))
        seen.append(requests[0].is_cancelled())
        return [respond()]

    stub.run(execute, request)
    assert seen == [False, True]
