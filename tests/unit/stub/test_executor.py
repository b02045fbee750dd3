from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any, Callable

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub import executor as executor_module
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import Descriptor, RequestFrame
from pyserve_stub.wire.layout import TensorMeta, WireError, encode_layout

from tests.unit.stub.rig import MODEL_FILE, PREFIX, Rig, respond, rig

ONE = np.array([1.5], np.float32)
DONE = frames.FINAL | frames.INPUTS_RELEASED
BROKEN = DONE | frames.BATCH_FAILED
SECOND = "Unable to send response. Non-decoupled model cannot send more than one response."
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


@pytest.fixture
def stub() -> Iterator[Rig]:
    with rig() as made:
        yield made


@pytest.fixture
def decoupled() -> Iterator[Rig]:
    with rig(decoupled=True) as made:
        yield made


def fail(stub: Rig, execute: Callable[[list[Any]], Any], *requests: Any) -> str:
    """The text after the prefix, the same for every request of the batch."""
    answers = stub.run(execute, *requests)
    assert {(answer.code, answer.flags) for answer in answers} == {(2, BROKEN)}
    texts = {answer.text for answer in answers}
    assert len(texts) == 1
    text = texts.pop()
    assert text.startswith(PREFIX)
    return text[len(PREFIX) :]


# -- what a model is given --------------------------------------------------------------------------------------------


def test_a_model_is_given_the_facts_of_each_request(stub: Rig) -> None:
    meta = {
        "id": "me",
        "correlation_id": 7,
        "flags": 3,
        "timeout_us": 9,
        "parameters": '{"a":1}',
        "outputs": ["OUT", "MORE"],
    }
    seen: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        (request,) = requests
        seen.extend((request.request_id(), request.correlation_id(), request.flags(), request.timeout()))
        seen.extend((request.parameters(), request.requested_output_names()))
        (tensor,) = request.inputs()
        seen.extend((tensor.name(), tensor.as_numpy().tolist(), tensor.as_numpy().dtype, tensor.shape()))
        return [respond()]

    stub.run(execute, stub.request(meta=meta, IN=np.array([[1, 2]], np.int16)))
    assert seen == ["me", 7, 3, 9, '{"a":1}', {"OUT", "MORE"}, "IN", [[1, 2]], np.int16, [1, 2]]


def test_facts_that_were_not_told_have_defaults(stub: Rig) -> None:
    seen: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        request = requests[0]
        seen.extend((request.request_id(), request.correlation_id(), request.flags(), request.timeout()))
        seen.extend((request.parameters(), request.requested_output_names(), request.inputs()))
        return [respond()]

    stub.run(execute)
    assert seen == ["", 0, 0, 0, "{}", set(), []]


def test_facts_are_parsed_once_for_all_that_repeat_them(stub: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "_MAX_CACHED", 2)
    parsed: list[bytes] = []
    monkeypatch.setattr(
        executor_module, "Meta", lambda data, make=executor_module.Meta: parsed.append(data) or make(data)
    )
    large = "x" * 5000
    for name in ("a", "a", large, large, "b", "a", "c", "a"):
        assert stub.run(lambda requests: [respond()], stub.request(meta={"id": name}))[0].code == 0
    # The large one is never kept; "c" is one too many, whereupon all are forgotten.
    assert [b"x" if b"x" in data else data[7:8] for data in parsed] == [b"a", b"x", b"x", b"b", b"c", b"a"]


def test_inputs_can_be_written_where_the_memory_may_be(stub: Rig) -> None:
    def double(requests: list[Any]) -> Any:
        array = pb_utils.get_input_tensor_by_name(requests[0], "IN").as_numpy()
        array *= 2
        return [respond(OUT=array)]

    (answer,) = stub.run(double, stub.request(IN=ONE))
    assert answer.outputs["OUT"].tolist() == [3.0]
    with rig(writable=False) as reader:
        assert "read-only" in fail(reader, double, reader.request(IN=ONE))


def test_a_model_may_empty_its_list_of_requests(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        return [respond() for _ in iter(lambda: requests.pop() if requests else None, None)]

    assert [answer.code for answer in stub.run(execute, stub.request(), stub.request())] == [0, 0]


# -- what a model answers ---------------------------------------------------------------------------------------------


def test_a_batch_is_answered_in_its_order(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        return [respond(OUT=request.inputs()[0].as_numpy() + 1) for request in requests]

    batch = [stub.request(IN=ONE * number) for number in range(3)]
    answers = stub.run(execute, *batch)
    assert [answer.key for answer in answers] == [request.key for request in batch]
    assert [answer.outputs["OUT"].tolist() for answer in answers] == [[1.0], [2.5], [4.0]]
    assert {(answer.code, answer.flags) for answer in answers} == {(0, DONE)}
    assert (stub.executor.requests, stub.executor.failures) == (3, 0)


def test_released_leases_come_with_a_batch(stub: Rig) -> None:
    (answer,) = stub.run(lambda requests: [respond(OUT=ONE)])
    lease = answer.descriptors[0][3]
    assert stub.session.arena_used == 64
    stub.execute(lambda requests: [respond()], stub.request(), released=(lease,))
    assert stub.session.arena_used == 0


def test_times_are_told(stub: Rig) -> None:
    stub.execute(lambda requests: [respond()], stub.request())
    (data,) = stub.told()
    _, input_ns, infer_ns = frames.decode_responses(data)
    assert input_ns > 0
    assert infer_ns > 0


@pytest.mark.parametrize("code", list(pb_utils.TritonError.__dict__["__ErrorCode"].__members__.values()), ids=str)
def test_an_error_response_fails_its_own_request(stub: Rig, code: Any) -> None:
    error = pb_utils.InferenceResponse(error=pb_utils.TritonError("no ✓", code))
    answers = stub.run(lambda requests: [respond(), error], stub.request(), stub.request())
    assert [(answer.code, answer.text, answer.flags) for answer in answers] == [
        (0, "", DONE),
        (int(code) + 1, "no ✓", DONE),
    ]
    assert stub.executor.failures == 0


# -- rules, in Triton's order -----------------------------------------------------------------------------------------


def test_a_model_has_execute(stub: Rig) -> None:
    stub.executor.model = object()
    stub.executor.run(frames.encode_execute([stub.request()]))
    (answer,) = stub.answers()
    assert answer.text == f"{PREFIX}Python model {MODEL_FILE} does not implement `execute` method."
    assert (answer.code, answer.flags) == (2, BROKEN)


def test_what_execute_raises_fails_the_batch(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        raise ValueError("boom")

    text = fail(stub, execute, stub.request(IN=ONE), stub.request())
    line = execute.__code__.co_firstlineno + 1
    assert text == f"ValueError: boom\n\nAt:\n  {__file__}({line}): execute\n"
    assert (stub.executor.requests, stub.executor.failures) == (2, 2)


@pytest.mark.parametrize(
    ("raised", "text"),
    [(SystemExit(3), "SystemExit: 3"), (KeyboardInterrupt(), "KeyboardInterrupt: <EMPTY MESSAGE>")],
)
def test_a_model_that_wants_to_end_the_process_fails_its_batch(stub: Rig, raised: BaseException, text: str) -> None:
    def execute(requests: list[Any]) -> Any:
        raise raised

    assert fail(stub, execute).startswith(f"{text}\n\nAt:\n")
    assert stub.run(lambda requests: [respond()])[0].code == 0


def test_sys_exit_fails_the_batch(stub: Rig) -> None:
    assert fail(stub, lambda requests: sys.exit(3)).startswith("SystemExit: 3\n\nAt:\n")


def test_a_failed_batch_is_logged(stub: Rig) -> None:
    stub.execute(lambda requests: (), stub.request())
    note = frames.decode_cold(stub.told()[0])
    text = f"{PREFIX}Expected a list in the execute return, found type '<class 'tuple'>'."
    assert note == {"op": "log", "level": "ERROR", "file": "model.py", "line": 0, "text": text}


@pytest.mark.parametrize("returned", [[], (), "OUT", 3])
def test_a_decoupled_model_returns_none(decoupled: Rig, returned: Any) -> None:
    text = "Python model 'm_0' is using the decoupled mode and the execute function must return None."
    assert fail(decoupled, lambda requests: returned) == text


@pytest.mark.parametrize(("returned", "kind"), [((), "tuple"), ({}, "dict"), ("OUT", "str")])
def test_a_list_is_returned(stub: Rig, returned: Any, kind: str) -> None:
    assert (
        fail(stub, lambda requests: returned)
        == f"Expected a list in the execute return, found type '<class '{kind}'>'."
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_responses_as_requests_are_returned(stub: Rig, count: int) -> None:
    assert fail(stub, lambda requests: ["no response"] * count, stub.request(), stub.request()) == (
        "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
        f"InferenceRequest(s) size is:2, and InferenceResponse(s) size is:{count}\n"
    )


def test_responses_are_returned(stub: Rig) -> None:
    text = fail(stub, lambda requests: [respond(), "OUT"], stub.request(), stub.request())
    assert (
        text
        == "Expected an 'InferenceResponse' object in the execute function return list, found type '<class 'str'>'."
    )


def test_the_first_broken_rule_is_told(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[1].get_response_sender().send(respond())
        return [3, respond()]

    assert "'<class 'int'>'" in fail(stub, execute, stub.request(), stub.request())


def test_a_response_that_was_sent_is_not_returned_too(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(OUT=ONE))
        return [respond(OUT=ONE)]

    assert fail(stub, execute) == SECOND
    assert stub.session.arena_used == 0


def test_a_bad_frame_is_not_the_models_fault(stub: Rig) -> None:
    with pytest.raises(WireError):
        stub.executor.run(b"\x01")


@pytest.mark.parametrize(
    ("descriptor", "text"),
    [
        (Descriptor(99, 0, 4, 0), "SegmentError: segment 99 is not mapped"),
        (Descriptor(1, 65_536, 4, 0), "SegmentError: segment 1 has 65536 bytes"),
    ],
)
def test_inputs_that_are_nowhere_fail_the_batch(stub: Rig, descriptor: Descriptor, text: str) -> None:
    broken = RequestFrame(9, b"", encode_layout([TensorMeta("IN", 11, (1,))]), [descriptor])
    assert fail(stub, lambda requests: [respond()], broken).startswith(text)
    assert stub.session.answering == {}


def test_facts_that_cannot_be_read_fail_the_batch(stub: Rig) -> None:
    assert fail(stub, lambda requests: [respond()], RequestFrame(9, b"{", encode_layout([]), [])).startswith("JSON")


# -- coroutines -------------------------------------------------------------------------------------------------------


def test_execute_may_be_a_coroutine(stub: Rig) -> None:
    async def execute(requests: list[Any]) -> Any:
        values = await asyncio.gather(*(twice(request) for request in requests))
        return [respond(OUT=value) for value in values]

    async def twice(request: Any) -> Any:
        await asyncio.sleep(0)
        return request.inputs()[0].as_numpy() * 2

    for _ in range(2):
        answers = stub.run(execute, stub.request(IN=ONE), stub.request(IN=ONE))
        assert [answer.outputs["OUT"].tolist() for answer in answers] == [[3.0], [3.0]]
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("pyserve-asyncio") >= 1
    stop(stub)


def stop(stub: Rig) -> None:
    loop = stub.executor._loop
    assert loop is not None
    loop.call_soon_threadsafe(loop.stop)
    for thread in threading.enumerate():
        if thread.name == "pyserve-asyncio":
            thread.join()
    loop.close()
    asyncio.set_event_loop(None)


def test_a_coroutine_that_raises_shows_its_own_frames(stub: Rig) -> None:
    async def execute(requests: list[Any]) -> Any:
        await asyncio.sleep(0)
        raise ValueError("boom")

    line = execute.__code__.co_firstlineno + 2
    assert fail(stub, execute) == f"ValueError: boom\n\nAt:\n  {__file__}({line}): execute\n"
    stop(stub)


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt("3")])
def test_a_coroutine_that_wants_to_end_the_process_fails_its_batch(stub: Rig, raised: BaseException) -> None:
    async def execute(requests: list[Any]) -> Any:
        raise raised

    async def answer(requests: list[Any]) -> Any:
        return [respond()]

    assert fail(stub, execute).startswith(f"{type(raised).__name__}: 3\n\nAt:\n")
    assert stub.run(answer)[0].code == 0
    stop(stub)


def test_a_generator_is_no_coroutine(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        yield 3

    text = fail(stub, execute)
    if sys.version_info < (3, 12):
        assert text.startswith("RuntimeError: Task got bad yield: 3")
        stop(stub)
    else:
        assert text == "Expected a list in the execute return, found type '<class 'generator'>'."


def test_what_a_coroutine_returns_follows_the_same_rules(stub: Rig) -> None:
    async def execute(requests: list[Any]) -> Any:
        return ()

    assert fail(stub, execute) == "Expected a list in the execute return, found type '<class 'tuple'>'."
    stop(stub)


# -- inputs that live on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keep",
    [
        lambda request: request,
        lambda request: request.inputs()[0],
        lambda request: request.inputs()[0].as_numpy(),
        lambda request: request.inputs()[0].as_numpy()[1:],
        lambda request: memoryview(request.inputs()[0].as_numpy()),
        lambda request: request.inputs()[0].to_dlpack(),
    ],
    ids=["request", "tensor", "array", "slice", "memoryview", "capsule"],
)
def test_inputs_that_a_model_keeps_are_released_later(stub: Rig, keep: Callable[[Any], Any]) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.append(keep(requests[1]))
        return [respond(), respond()]

    batch = [stub.request(IN=np.arange(4.0)), stub.request(IN=np.arange(4.0))]
    answers = stub.run(execute, *batch)
    assert [answer.flags for answer in answers] == [DONE, frames.FINAL]
    kept.clear()
    assert stub.told() == [frames.encode_keys(frames.RELEASE, (batch[1].key,))]


@pytest.mark.parametrize(
    "keep",
    [
        lambda request: request.inputs()[0].as_numpy().copy(),
        lambda request: request.inputs()[0].as_numpy().tolist(),
        lambda request: request.request_id(),
    ],
)
def test_inputs_that_were_copied_are_released_with_the_answer(stub: Rig, keep: Callable[[Any], Any]) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.append(keep(requests[0]))
        return [respond()]

    assert stub.run(execute, stub.request(IN=ONE))[0].flags == DONE


def test_strings_are_copied(stub: Rig) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.append(requests[0].inputs()[0].as_numpy())
        return [respond()]

    layout = encode_layout([TensorMeta("IN", 13, (1,))])
    request = stub.request(layout=layout, IN=np.frombuffer(b"\x02\0\0\0hi", np.uint8))
    assert stub.run(execute, request)[0].flags == DONE
    assert kept[0].tolist() == [b"hi"]


def test_inputs_of_a_batch_that_failed_are_released_with_it(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        array = requests[0].inputs()[0].as_numpy()
        raise ValueError(array[0])

    assert fail(stub, execute, stub.request(IN=ONE)).startswith("ValueError: 1.5")


def test_inputs_in_a_cycle_are_released_when_it_is_collected(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        try:
            raise ValueError
        except ValueError as error:
            cycle = error  # noqa: F841 - the traceback refers to this frame, and this frame to the error
        return [respond()]

    gc.disable()
    try:
        request = stub.request(IN=ONE)
        (answer,) = stub.run(execute, request)
        assert answer.flags == frames.FINAL
    finally:
        gc.enable()
    gc.collect()
    assert stub.told() == [frames.encode_keys(frames.RELEASE, (request.key,))]


# -- response senders, where a model is not decoupled -----------------------------------------------------------------


@pytest.mark.parametrize("returned", [None, [None]])
def test_a_response_may_be_sent_instead_of_returned(stub: Rig, returned: Any) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(OUT=ONE), FINAL)
        return returned

    (answer,) = stub.run(execute)
    assert (answer.outputs["OUT"].tolist(), answer.flags) == ([1.5], DONE)


def test_final_may_follow_the_response(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        sender = requests[0].get_response_sender()
        sender.send(respond(OUT=ONE))
        sender.send(flags=FINAL)

    assert stub.run(execute)[0].outputs["OUT"].tolist() == [1.5]


def test_some_may_be_sent_and_others_returned(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE), FINAL)
        return [None, respond(B=ONE)]

    first, second = stub.run(execute, stub.request(), stub.request())
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

    deferred, answer = stub.run(execute)
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

    (answer,) = stub.run(execute)
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

    first, second = stub.run(execute, stub.request(), stub.request())
    assert (list(first.outputs), first.code) == (["A"], 0)
    assert (second.code, second.text) == (2, PREFIX + SECOND)


def test_what_was_sent_with_final_is_delivered_even_if_execute_raises(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE), FINAL)
        raise ValueError("boom")

    first, second = stub.run(execute, stub.request(), stub.request())
    assert list(first.outputs) == ["A"]
    assert second.text.startswith(PREFIX + "ValueError: boom")
    assert first.flags & second.flags & frames.BATCH_FAILED


def test_what_was_sent_without_final_is_not_delivered_if_execute_raises(stub: Rig) -> None:
    senders: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        senders.append(requests[0].get_response_sender())
        senders[0].send(respond(A=ONE))
        raise ValueError("boom")

    assert fail(stub, execute).startswith("ValueError: boom")
    assert stub.session.arena_used == 0
    with pytest.raises(pb_utils.TritonModelException, match="Response sender has been closed"):
        senders[0].send(flags=FINAL)
    assert stub.told() == []


def test_a_response_sent_without_final_and_dropped_fails(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(A=ONE))

    deferred, answer = stub.run(execute)
    assert deferred.flags & frames.DEFERRED
    assert (answer.code, answer.outputs) == (2, {})
    assert stub.session.arena_used == 0


def test_a_second_response_through_the_sender_fails_the_batch(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        sender = requests[0].get_response_sender()
        sender.send(respond(A=ONE))
        sender.send(respond(A=ONE), FINAL)

    assert fail(stub, execute).startswith(f"TritonModelException: {SECOND}\n\nAt:\n")


def test_a_coroutine_may_send_too(stub: Rig) -> None:
    async def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(OUT=ONE), FINAL)

    assert stub.run(execute)[0].outputs["OUT"].tolist() == [1.5]
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
