"""Senders of decoupled models, as the engine sees them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from hypothesis import given, settings
from hypothesis import strategies as st
from pyserve_stub.wire import frames

from tests.unit.stub.peer import started
from tests.unit.stub.rig import PREFIX, Answer, Rig, respond, rig

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
BARE = frames.FINAL | frames.BARE
OVER = frames.DEFERRED | frames.INPUTS_RELEASED
CLOSED = "Unable to send response. Response sender has been closed."
DATA = np.arange(4, dtype=np.float32)


def out(number: float) -> Any:
    return respond(OUT=np.array([number], np.float32))


def said(answers: list[Answer]) -> list[tuple[float | None, int]]:
    """The number in each answer, and its flags."""
    return [(float(item.outputs["OUT"][0]) if item.outputs else None, item.flags) for item in answers]


def kinds(stub: Rig) -> list[int]:
    return [data[0] for data in stub.told()]


def begun(stub: Rig, execute: Callable[[list[Any]], Any] = lambda requests: None) -> Any:
    """The sender of a request whose `execute` has returned."""
    senders: list[Any] = []

    def run(requests: list[Any]) -> Any:
        senders.append(requests[0].get_response_sender())
        return execute(requests)

    stub.execute(run, stub.request())
    return senders.pop()


def test_each_response_leaves_at_once(decoupled: Rig) -> None:
    seen: list[Any] = []

    def execute(requests: list[Any]) -> None:
        sender = requests[0].get_response_sender()
        for number in range(2):
            sender.send(out(number))
            seen.append(said(decoupled.answers()))
        sender.send(out(2), FINAL)
        seen.append(said(decoupled.answers()))

    assert said(decoupled.run(execute)) == [(None, OVER)]
    assert seen == [[(0, 0)], [(1, 0)], [(2, frames.FINAL)]]


def test_final_may_come_alone(decoupled: Rig) -> None:
    sender = begun(decoupled)
    sender.send(out(1))
    sender.send(flags=FINAL)
    assert said(decoupled.answers()) == [(None, OVER), (1, 0), (None, BARE)]


def test_streams_have_frames_of_their_own(decoupled: Rig) -> None:
    sender = begun(decoupled)
    assert kinds(decoupled) == [frames.RESPONSES]
    sender.send(out(1), FINAL)
    assert kinds(decoupled) == [frames.STREAM]


def test_what_was_sent_can_be_changed_afterwards(decoupled: Rig) -> None:
    sender = begun(decoupled)
    data = DATA.copy()
    for _ in range(2):
        sender.send(respond(OUT=data))
        data += 1
    sender.send(flags=FINAL)
    _, first, second, _ = decoupled.answers()
    np.testing.assert_array_equal(first.outputs["OUT"], DATA)
    np.testing.assert_array_equal(second.outputs["OUT"], DATA + 1)


def test_one_response_may_be_sent_often(decoupled: Rig) -> None:
    sender, response = begun(decoupled), out(5)
    for _ in range(3):
        sender.send(response)
    assert [number for number, _ in said(decoupled.answers())[1:]] == [5, 5, 5]
    sender.send(flags=FINAL)


def test_an_error_does_not_end_a_request(decoupled: Rig) -> None:
    sender = begun(decoupled)
    error = pb_utils.InferenceResponse(error=pb_utils.TritonError("no", pb_utils.TritonError.NOT_FOUND))
    sender.send(error)
    sender.send(out(1))
    sender.send(error, FINAL)
    _, first, second, last = decoupled.answers()
    assert (first.code, first.text, first.flags) == (3, "no", 0)
    assert second.outputs["OUT"] == [1]
    assert (last.code, last.flags) == (3, frames.FINAL)


def test_a_closed_sender_sends_nothing(decoupled: Rig) -> None:
    sender = begun(decoupled)
    sender.send(flags=FINAL)
    decoupled.told()
    for arguments in ((out(1),), (out(1), FINAL), (None, FINAL)):
        with pytest.raises(pb_utils.TritonModelException, match=CLOSED):
            sender.send(*arguments)
    assert decoupled.told() == []


def test_a_failed_execute_ends_what_is_not_ended(decoupled: Rig) -> None:
    senders: list[Any] = []

    def execute(requests: list[Any]) -> None:
        senders.extend(request.get_response_sender() for request in requests)
        senders[0].send(out(1))
        senders[1].send(out(2), FINAL)
        raise ValueError("boom")

    first, second, failed, ended, untouched = decoupled.run(execute, *(decoupled.request() for _ in range(3)))
    assert said([first, second]) == [(1, 0), (2, frames.FINAL)]
    assert (ended.key, ended.code) == (second.key, 0)
    assert ended.flags & frames.DEFERRED
    for answer in (failed, untouched):
        assert answer.text.startswith(f"{PREFIX}ValueError: boom")
        assert answer.flags & frames.FINAL
    assert failed.flags & ended.flags & untouched.flags & frames.BATCH_FAILED
    for sender in senders:
        with pytest.raises(pb_utils.TritonModelException, match=CLOSED):
            sender.send(out(3))


@pytest.mark.parametrize("sent", [0, 1])
def test_a_forgotten_final(decoupled: Rig, sent: int) -> None:
    def execute(requests: list[Any]) -> None:
        for _ in range(sent):
            requests[0].get_response_sender().send(out(1))

    *before, dropped, over = decoupled.run(execute)
    assert said(before) == [(1, 0)] * sent
    assert (dropped.code, dropped.flags) == (2, frames.FINAL)
    assert dropped.text == (
        "nothing can end this request any more: its response sender was dropped without "
        "TRITONSERVER_RESPONSE_COMPLETE_FINAL"
    )
    assert over.flags == OVER
    assert decoupled.executor.outbox._open == {}


def test_a_forgotten_final_is_kept_where_that_is_wanted() -> None:
    with rig(decoupled=True, keep_unfinished=True) as stub:
        assert said(stub.run(lambda requests: None)) == [(None, OVER)]
        assert stub.executor.outbox._open == {}


@pytest.mark.parametrize("with_response", [True, False])
def test_final_waits_for_a_response_of_another_thread(decoupled: Rig, with_response: bool) -> None:
    sender = begun(decoupled)
    decoupled.told()
    placer = decoupled.executor.outbox._placer
    place = placer.respond

    def interrupted(*arguments: Any) -> Any:
        placer.respond = place  # type: ignore[method-assign]
        other = threading.Thread(target=lambda: sender.send(out(2) if with_response else None, FINAL))
        other.start()
        other.join()
        return place(*arguments)

    placer.respond = interrupted  # type: ignore[method-assign,assignment]
    sender.send(out(1))
    expected = [(2, 0), (1, frames.FINAL)] if with_response else [(1, frames.FINAL)]
    assert said(decoupled.answers()) == expected


def test_what_is_ready_while_a_packet_is_sent_shares_the_next(decoupled: Rig) -> None:
    sender = begun(decoupled)
    decoupled.told()
    send = decoupled.session.send
    entered, leave = threading.Event(), threading.Event()

    def slow(data: bytes) -> None:
        entered.set()
        leave.wait()
        send(data)

    decoupled.session.send = slow  # type: ignore[method-assign]
    thread, _ = started(lambda: sender.send(out(0)))
    entered.wait()
    for number in range(1, 4):
        sender.send(out(number))  # returns, although nothing can be sent
    leave.set()
    thread.join()
    first, second = decoupled.told()
    assert [said(decoupled.read(data)) for data in (first, second)] == [[(0, 0)], [(1, 0), (2, 0), (3, 0)]]
    decoupled.session.send = send  # type: ignore[method-assign]
    sender.send(flags=FINAL)


def test_packets_are_bounded(decoupled: Rig) -> None:
    sender = begun(decoupled)
    decoupled.told()
    outbox = decoupled.executor.outbox
    with outbox._sending:
        for number in range(100):
            sender.send(out(number))
    sender.send(flags=FINAL)
    counts = [len(decoupled.read(data)) for data in decoupled.told()]
    assert counts == [64, 37]


def test_the_news_that_execute_is_over_stays_in_its_place(decoupled: Rig) -> None:
    sender = begun(decoupled)
    decoupled.told()
    outbox = decoupled.executor.outbox
    with outbox._sending:
        sender.send(out(1))
        outbox.post(b"news")
        sender.send(out(2), FINAL)
    outbox._flush()
    first, news, last = decoupled.told()
    assert news == b"news"
    assert said(decoupled.read(first) + decoupled.read(last)) == [(1, 0), (2, frames.FINAL)]


# -- rescheduling -----------------------------------------------------------------------------------------------------


def again(request: Any) -> None:
    request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)


def test_a_request_may_be_wanted_again(decoupled: Rig) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> None:
        kept.append(requests[0].get_response_sender())
        kept[0].send(out(1))
        again(requests[0])

    sent, rescheduled = decoupled.run(execute)
    assert said([sent]) == [(1, 0)]
    assert rescheduled.flags == frames.RESCHEDULED | frames.INPUTS_RELEASED
    with pytest.raises(pb_utils.TritonModelException, match=CLOSED):
        kept[0].send(out(2))
    kept.clear()
    assert decoupled.told() == []
    assert decoupled.executor.outbox._open == {}


def test_a_request_that_has_ended_does_not_come_again(decoupled: Rig) -> None:
    def execute(requests: list[Any]) -> None:
        requests[0].get_response_sender().send(out(1), FINAL)
        again(requests[0])

    assert said(decoupled.run(execute)) == [(1, frames.FINAL), (None, OVER)]


def test_others_of_the_batch_are_answered(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        again(requests[0])
        return [None, out(2)]

    first, second = stub.run(execute, stub.request(), stub.request())
    assert first.flags == frames.RESCHEDULED | frames.INPUTS_RELEASED
    assert second.outputs["OUT"] == [2]


@pytest.mark.parametrize("flags", [0, 1, 3, 7])
def test_other_flags_are_as_good_as_all(stub: Rig, flags: int) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].set_release_flags(flags)
        return [out(1)]

    assert stub.run(execute)[0].outputs["OUT"] == [1]


@pytest.mark.parametrize(
    ("make", "kind"), [(lambda: out(1), "c_python_backend_utils.InferenceResponse"), (lambda: 3, "int")]
)
def test_nothing_is_returned_for_a_request_that_comes_again(stub: Rig, make: Any, kind: str) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        again(requests[0])
        kept.extend(requests)
        return [make()]

    (answer,) = stub.run(execute)
    assert answer.text == (
        f"{PREFIX}Expected a None object in the execute function return list for reschduled request, found type "
        f"'<class '{kind}'>'."
    )
    assert answer.flags & frames.BATCH_FAILED
    assert kept[0]._release_flags == pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL


def test_a_held_response_is_given_up_when_its_request_comes_again(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        requests[0].get_response_sender().send(out(1))
        again(requests[0])

    (answer,) = stub.run(execute)
    assert answer.flags & frames.RESCHEDULED
    assert stub.session.arena_used == 0


# -- the rules as a whole ---------------------------------------------------------------------------------------------

_CALLS = st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 2])), max_size=6)


def expected_refusal(decoupled: bool, has_response: bool, flags: int, sent: int, closed: bool) -> str | None:
    """Section by section what Triton refuses, in its order."""
    if flags not in (0, 1):
        return "Unable to send response. Unsupported flag provided."
    if not flags and not has_response:
        return "Inference Response object must be provided when the response flags is set to zero."
    if not decoupled and has_response and sent:
        return "Unable to send response. Non-decoupled model cannot send more than one response."
    if not decoupled and not has_response and not sent:
        return "Unable to send response. Non-decoupled model cannot send complete final before sending a response."
    return CLOSED if closed else None


@settings(deadline=None, max_examples=150)
@given(decoupled=st.booleans(), calls=_CALLS, returned=st.integers(0, 6))
def test_whatever_is_sent_the_rules_hold_and_the_request_ends_once(
    decoupled: bool, calls: list[tuple[bool, int]], returned: int
) -> None:
    with rig(decoupled=decoupled) as stub:
        texts: list[str | None] = []

        def send(sender: Any, has_response: bool, flags: int) -> None:
            try:
                sender.send(out(len(texts)) if has_response else None, flags)
                texts.append(None)
            except pb_utils.TritonModelException as error:
                texts.append(str(error))

        def execute(requests: list[Any]) -> None:
            for call in calls[:returned]:
                send(requests[0].get_response_sender(), *call)

        sender = begun(stub, execute)
        for call in calls[returned:]:
            send(sender, *call)
        del sender
        sent, closed, expected, accepted = 0, False, [], []
        for number, (has_response, flags) in enumerate(calls):
            text = expected_refusal(decoupled, has_response, flags, sent, closed)
            expected.append(text)
            if text is None:
                sent += has_response
                closed = bool(flags)
                accepted += [float(number)] * has_response
        assert texts == expected
        answers = [item for item in stub.answers() if not item.flags & frames.DEFERRED]
        assert [bool(item.flags & frames.FINAL) for item in answers] == [False] * (len(answers) - 1) + [True]
        values = [number for number, _ in said(answers) if number is not None]
        assert values == (accepted if decoupled or closed else [])
        assert (answers[-1].code == 0) is closed
        assert stub.executor.outbox._open == {}
        leases = [item[3] for answer in answers for item in answer.descriptors]
        stub.session.free(leases)
        assert stub.session.arena_used == 0
