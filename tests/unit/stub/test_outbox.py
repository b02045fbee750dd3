from __future__ import annotations

import functools
import gc
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub import placing as placing_module
from pyserve_stub.session import EngineGone
from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import encode_layout

from tests.unit.stub.rig import Answer, Rig, respond, rig

DATA = np.arange(8, dtype=np.float32)
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


@pytest.fixture
def stub() -> Iterator[Rig]:
    with rig() as made:
        yield made


def give(stub: Rig, make: Callable[[Any], Any]) -> tuple[Answer, Any]:
    """What is sent for `{"OUT": make(input array)}`, and the request."""
    request = stub.request(IN=DATA)
    (answer,) = stub.run(lambda requests: [respond(OUT=make(requests[0].inputs()[0].as_numpy()))], request)
    return answer, request


# -- where outputs lie ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "offset", "values"),
    [
        (lambda array: array, 0, DATA),
        (lambda array: array[2:5], 8, DATA[2:5]),
        (lambda array: array.reshape(2, 4), 0, DATA.reshape(2, 4)),
        (lambda array: array[4:].view(np.int16), 16, DATA[4:].view(np.int16)),
    ],
    ids=["itself", "slice", "reshaped", "view"],
)
def test_outputs_that_are_inputs_are_not_copied(stub: Rig, make: Any, offset: int, values: Any) -> None:
    answer, request = give(stub, make)
    np.testing.assert_array_equal(answer.outputs["OUT"], values)
    start = request.descriptors[0].offset
    assert answer.descriptors == [(stub.input_segment, start + offset, values.nbytes, 0)]
    assert stub.session.arena_used == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda array: array + 0,
        lambda array: array[::2],
        lambda array: array.reshape(2, 4).T,
        lambda array: array[::-1],
        lambda array: np.array(5.0),
        lambda array: np.asfortranarray(array.reshape(2, 4)),
    ],
    ids=["new", "strided", "transposed", "reversed", "scalar", "column-major"],
)
def test_other_outputs_are_copied_into_the_arena(stub: Rig, make: Any) -> None:
    answer, _ = give(stub, make)
    np.testing.assert_array_equal(answer.outputs["OUT"], make(DATA))
    assert answer.outputs["OUT"].shape == make(DATA).shape
    (descriptor,) = answer.descriptors
    assert descriptor[0] != stub.input_segment
    stub.session.free([descriptor[3]])
    assert stub.session.arena_used == 0


def test_an_input_tensor_may_be_an_output(stub: Rig) -> None:
    request = stub.request(IN=DATA)
    (answer,) = stub.run(lambda requests: [pb_utils.InferenceResponse(requests[0].inputs())], request)
    assert answer.descriptors == [tuple(request.descriptors[0])]
    np.testing.assert_array_equal(answer.outputs["IN"], DATA)


def test_inputs_of_another_request_are_copied(stub: Rig) -> None:
    first, second = stub.request(IN=DATA), stub.request(IN=DATA * 2)

    def swap(requests: list[Any]) -> Any:
        left, right = (request.inputs()[0].as_numpy() for request in requests)
        return [respond(OUT=right), respond(OUT=left)]

    answers = stub.run(swap, first, second)
    np.testing.assert_array_equal(answers[0].outputs["OUT"], DATA * 2)
    np.testing.assert_array_equal(answers[1].outputs["OUT"], DATA)
    assert stub.input_segment not in {answer.descriptors[0][0] for answer in answers}


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)])
def test_nothing_needs_no_memory(stub: Rig, shape: tuple[int, ...]) -> None:
    answer, _ = give(stub, lambda array: np.empty(shape, np.int8))
    assert answer.outputs["OUT"].shape == shape
    assert answer.descriptors == [(0, 0, 0, 0)]
    assert stub.session.arena_used == 0


def test_strings_travel_in_wire_form(stub: Rig) -> None:
    answer, _ = give(stub, lambda array: np.array(["ä", b"b", 3], object))
    assert answer.outputs["OUT"] == b"\x02\0\0\0\xc3\xa4\x01\0\0\0b\x01\0\0\x003"
    assert give(stub, lambda array: np.array([], object))[0].outputs["OUT"] == b""


def test_each_output_has_its_own_block(stub: Rig) -> None:
    (answer,) = stub.run(lambda requests: [respond(A=DATA + 1, B=DATA + 2, C=DATA + 3)])
    for number, name in enumerate("ABC", 1):
        np.testing.assert_array_equal(answer.outputs[name], DATA + number)
    assert len({descriptor[3] for descriptor in answer.descriptors}) == 3


# -- what of a response is sent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [([], ["A", "B"]), (["B"], ["B"]), (["B", "A"], ["A", "B"]), (["C"], []), (["C", "A"], ["A"])],
)
def test_only_outputs_that_were_asked_for_are_sent(stub: Rig, wanted: list[str], sent: list[str]) -> None:
    (answer,) = stub.run(lambda requests: [respond(A=DATA, B=DATA)], stub.request(meta={"outputs": wanted}))
    assert list(answer.outputs) == sent


def test_one_response_may_answer_several_requests(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        return [respond(A=DATA, B=DATA)] * 2

    answers = stub.run(execute, stub.request(meta={"outputs": ["A"]}), stub.request(meta={"outputs": ["B"]}))
    assert [list(answer.outputs) for answer in answers] == [["A"], ["B"]]


@pytest.mark.parametrize(("parameters", "text"), [(None, ""), ({}, ""), ({"a": 1}, '{"a": 1}')])
def test_parameters_are_sent(stub: Rig, parameters: Any, text: str) -> None:
    (answer,) = stub.run(lambda requests: [pb_utils.InferenceResponse([], parameters=parameters)])
    assert answer.text == text


def test_an_error_wins_over_outputs(stub: Rig) -> None:
    tensor = pb_utils.Tensor("OUT", DATA)
    (answer,) = stub.run(lambda requests: [pb_utils.InferenceResponse([tensor], pb_utils.TritonError("no"))])
    assert (answer.code, answer.text, answer.outputs) == (2, "no", {})
    assert stub.session.arena_used == 0


def test_layouts_are_encoded_once(stub: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []

    def encode(metas: Any) -> bytes:
        encoded.append(metas[0].name)
        return encode_layout(metas)

    monkeypatch.setattr(placing_module, "_MAX_CACHED", 2)
    monkeypatch.setattr(placing_module, "encode_layout", encode)
    for name in ("a", "a", "b", "a", "c", "a"):
        response = respond(**{name: DATA})
        (answer,) = stub.run(functools.partial(lambda given, _: [given], response))
        assert list(answer.outputs) == [name]
    assert encoded == ["a", "b", "c", "a"]


# -- what cannot be sent ----------------------------------------------------------------------------------------------


def test_a_response_that_cannot_be_sent_fails_its_own_request(stub: Rig) -> None:
    answers = stub.run(
        lambda requests: [respond(A=DATA), respond(**{"A": DATA, "x" * 65_536: DATA})], stub.request(), stub.request()
    )
    assert [answer.code for answer in answers] == [0, 2]
    assert answers[1].text == "Failed to send the response: a tensor's name, rank or dimension is too large"
    assert stub.session.arena_used == 64


def test_an_arena_that_cannot_grow_fails_the_request(stub: Rig) -> None:
    requests = [stub.request(), stub.request()]
    outputs = {"A": DATA, "B": np.zeros(1 << 16)}
    thread = threading.Thread(target=stub.execute, args=(lambda _: [respond(**outputs), respond(A=DATA)], *requests))
    thread.start()
    call = frames.decode_cold(stub.next())
    stub.tell(frames.REPLY, {"id": call["id"], "ok": False, "error": "no more"})
    thread.join()
    first, second = stub.answers()
    assert (first.code, first.text) == (2, "Failed to increase the shared memory pool size: no more")
    assert second.code == 0
    assert stub.session.arena_used == 64


def test_an_arena_grows_with_what_is_sent() -> None:
    with rig(arena=0) as stub, stub.answer_growth(1 << 16) as growth:
        stub.execute(lambda requests: [respond(A=np.full(100_000, 7, np.int8), B=DATA)], stub.request())
        (answer,) = stub.read(growth.others.get())
        assert (answer.outputs["A"] == 7).all()
        np.testing.assert_array_equal(answer.outputs["B"], DATA)
        assert growth.granted == 1


def test_the_end_of_the_engine_is_no_failure_of_the_model(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        stub.sock.close()
        return [respond(A=np.zeros(1 << 16))]

    with pytest.raises(EngineGone):
        stub.execute(execute, stub.request())


# -- senders ----------------------------------------------------------------------------------------------------------


def deferred(stub: Rig) -> Any:
    """The sender of a request that is not answered yet."""
    senders: list[Any] = []

    def execute(requests: list[Any]) -> None:
        senders.append(requests[0].get_response_sender())

    stub.run(execute)
    return senders.pop()


def test_what_is_sent_is_taken_at_once(stub: Rig) -> None:
    buffer = DATA.copy()

    def execute(requests: list[Any]) -> Any:
        for request in requests:
            request.get_response_sender().send(respond(OUT=buffer), FINAL)
            buffer[:] += 1

    answers = stub.replies(execute, stub.request(), stub.request())
    np.testing.assert_array_equal(answers[0].outputs["OUT"], DATA)
    np.testing.assert_array_equal(answers[1].outputs["OUT"], DATA + 1)


def test_what_is_sent_late_is_taken_with_its_final(stub: Rig) -> None:
    sender = deferred(stub)
    buffer = DATA.copy()
    sender.send(respond(OUT=buffer))
    assert stub.told() == []
    buffer[:] = 0
    sender.send(flags=FINAL)
    (answer,) = stub.answers()
    np.testing.assert_array_equal(answer.outputs["OUT"], DATA)
    del sender
    assert stub.told() == []


def test_an_answer_never_overtakes_the_news_that_it_comes_later(stub: Rig) -> None:
    # A thread that sends while the batch's own packet is being sent.
    send = stub.session.send
    senders: list[Any] = []
    order: list[int] = []

    def watch(data: bytes) -> None:
        order.append(frames.decode_responses(data)[0][0][2] & frames.DEFERRED)
        if senders:
            senders.pop().send(respond(OUT=DATA), FINAL)
        send(data)

    stub.session.send = watch  # type: ignore[method-assign]
    late, answer = stub.run(lambda requests: senders.append(requests[0].get_response_sender()))
    assert late.flags & frames.DEFERRED
    assert answer.outputs["OUT"].tolist() == DATA.tolist()
    assert order == [frames.DEFERRED, 0]


def test_final_may_come_from_another_thread_while_the_response_is_placed(stub: Rig) -> None:
    sender = deferred(stub)
    respond_slowly = stub.executor.outbox._placer.respond

    def interrupted(*arguments: Any) -> Any:
        other = threading.Thread(target=lambda: sender.send(flags=FINAL))
        other.start()
        other.join()
        assert stub.told() == []
        return respond_slowly(*arguments)

    stub.executor.outbox._placer.respond = interrupted  # type: ignore[method-assign,assignment]
    sender.send(respond(OUT=DATA))
    (answer,) = stub.answers()
    assert answer.outputs["OUT"].tolist() == DATA.tolist()


def test_a_batch_may_fail_while_a_response_is_placed(stub: Rig) -> None:
    class Slow(Exception):
        pass

    def execute(requests: list[Any]) -> Any:
        sender = requests[0].get_response_sender()
        respond_now = stub.executor.outbox._placer.respond

        def interrupted(*arguments: Any) -> Any:
            started.set()
            failed.wait()
            return respond_now(*arguments)

        stub.executor.outbox._placer.respond = interrupted  # type: ignore[method-assign,assignment]
        threads.append(threading.Thread(target=lambda: sender.send(respond(OUT=DATA), FINAL)))
        threads[0].start()
        started.wait()
        raise Slow

    started, failed = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    (answer,) = stub.run(execute)
    assert answer.flags & frames.BATCH_FAILED
    failed.set()
    threads[0].join()
    assert stub.told() == []
    assert stub.session.arena_used == 0


@pytest.mark.parametrize("in_time", [True, False])
def test_the_arena_is_not_waited_for_where_senders_would_wait(stub: Rig, in_time: bool) -> None:
    # Whoever holds the arena's lock may be running the destructor of a sender.
    outbox, session = stub.executor.outbox, stub.session
    free = session.free
    found: list[bool] = []

    def look() -> None:
        found.append(outbox._lock.acquire(blocking=False))
        if found[0]:
            outbox._lock.release()

    def watch(leases: Any) -> None:
        other = threading.Thread(target=look)
        other.start()
        other.join()
        free(leases)

    session.free = watch  # type: ignore[method-assign]
    respond_now = outbox._placer.respond

    def late(*arguments: Any) -> Any:
        ready = respond_now(*arguments)
        outbox.abandon(arguments[0], "too late")
        return ready

    if not in_time:
        outbox._placer.respond = late  # type: ignore[method-assign,assignment]
    request = stub.request()
    outbox.opened([(request, frozenset())])
    outbox.send(request.key, respond(OUT=DATA), 0)
    outbox.reschedule(request)
    assert found == [True]
    assert session.arena_used == 0


def test_a_sender_that_is_collected_while_the_outbox_is_busy_does_not_block(stub: Rig) -> None:
    cycle: list[Any] = [deferred(stub)]
    cycle.append(cycle)
    del cycle
    with stub.executor.outbox._lock:
        gc.collect()
    (answer,) = stub.answers()
    assert answer.text.startswith("nothing can answer this request any more")


def test_a_request_is_dropped_once(stub: Rig) -> None:
    sender = deferred(stub)
    key = sender._key
    del sender
    assert len(stub.answers()) == 1
    stub.executor.outbox.drop(key)
    stub.executor.outbox.send(key, respond(OUT=DATA), FINAL)
    assert stub.told() == []


def test_a_sender_may_outlive_the_engine(stub: Rig) -> None:
    sender = deferred(stub)
    stub.sock.close()
    del sender


def test_a_late_sender_learns_of_the_end_of_the_engine(stub: Rig) -> None:
    sender = deferred(stub)
    stub.sock.close()
    with pytest.raises(EngineGone):
        sender.send(respond(OUT=DATA), FINAL)


def test_a_thread_may_send_more_than_the_arena_holds() -> None:
    with rig(arena=0) as stub, stub.answer_growth(4096) as growth:
        senders: list[Any] = []
        stub.execute(lambda requests: senders.append(requests[0].get_response_sender()), stub.request())
        growth.others.get()
        waiting = threading.Thread(target=stub.session.receive)
        waiting.start()
        thread = threading.Thread(target=lambda: senders.pop().send(respond(OUT=DATA), FINAL))
        thread.start()
        (answer,) = stub.read(growth.others.get())
        assert answer.outputs["OUT"].tolist() == DATA.tolist()
        thread.join()
        stub.sock.send(b"\x10")
        waiting.join()


def test_nothing_is_left_open(stub: Rig) -> None:
    gc.collect()  # what other tests have left
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        sender = deferred(stub)
        sender.send(respond(OUT=np.zeros(30_000, np.int8)), FINAL)
        (answer,) = stub.answers()
        stub.session.free([answer.descriptors[0][3]])
    assert stub.executor.outbox._open == {}
    assert stub.session.answering == {}
    assert len(os.listdir("/proc/self/fd")) == before
