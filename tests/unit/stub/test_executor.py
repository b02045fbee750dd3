from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub import executor as executor_module
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import Descriptor, RequestFrame
from pyserve_stub.wire.layout import TensorMeta, WireError, encode_layout

from tests.unit.stub.rig import BROKEN, DONE, MODEL_FILE, ONE, PREFIX, SECOND, Rig, fail, respond, rig, stop

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
    real = executor_module.Meta

    def parse(data: bytes) -> Any:
        parsed.append(data)
        return real(data)

    monkeypatch.setattr(executor_module, "Meta", parse)
    large = "x" * 5000
    for name in ("a", "a", large, large, "b", "a", "c", "a"):
        assert stub.run(lambda requests: [respond()], stub.request(meta={"id": name}))[0].code == 0
    # The large one is never kept; "c" is one too many, whereupon all are forgotten.
    assert [b"x" if b"x" in data else data[7:8] for data in parsed] == [b"a", b"x", b"x", b"b", b"c", b"a"]


def test_inputs_can_be_written_where_the_memory_may_be(stub: Rig) -> None:
    def double(requests: list[Any]) -> Any:
        array = requests[0].inputs()[0].as_numpy()
        array *= 2
        return [respond(OUT=array)]

    (answer,) = stub.run(double, stub.request(IN=ONE))
    assert answer.outputs["OUT"].tolist() == [3.0]
    with rig(writable=False) as reader:
        assert "read-only" in fail(reader, double, reader.request(IN=ONE))


def test_what_others_read_too_is_changed_in_a_copy(stub: Rig) -> None:
    def execute(requests: list[Any]) -> list[Any]:
        array = requests[0].inputs()[0].as_numpy()
        array += 1
        return [respond(Y=array)]

    request = stub.request(X=ONE)
    segment, offset, nbytes, _ = request.descriptors[0]
    stub.execute(execute, request._replace(descriptors=[Descriptor(segment, offset, nbytes, frames.SHARED)]))
    assert stub.answers()[0].outputs["Y"].tolist() == [2.5]
    assert bytes(stub.memory[segment][offset : offset + nbytes]) == ONE.tobytes()


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
        return [3, 4.0]

    assert "'<class 'int'>'" in fail(stub, execute, stub.request(), stub.request())


def test_a_response_that_was_sent_is_not_returned_too(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(respond(OUT=ONE))
        return [respond(OUT=ONE), respond(OUT=ONE)]

    sent, other = stub.run(execute, stub.request(), stub.request())
    assert (sent.code, sent.flags, sent.outputs["OUT"].tolist()) == (0, BROKEN, [1.5])
    assert (other.flags, other.text) == (BROKEN, PREFIX + SECOND)


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
