from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub.host import Host
from pyserve_stub.responses import InferenceResponse
from pyserve_stub.streams import InferenceResponseSender, ResponseIterator
from pyserve_stub.vocabulary import TritonModelException

from tests.unit.stub.hosting import in_charge

RESPONSE = InferenceResponse()
UNSUPPORTED = "Unable to send response. Unsupported flag provided."
NO_RESPONSE = "Inference Response object must be provided when the response flags is set to zero."
NO_MODEL = "Unable to send response. Response sender has no reference to the decoupled state of the model."
SECOND = "Unable to send response. Non-decoupled model cannot send more than one response."
FINAL_FIRST = "Unable to send response. Non-decoupled model cannot send complete final before sending a response."
CLOSED = "Unable to send response. Response sender has been closed."


class FakeHost(Host):
    """Notes what is sent and dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []
        self.dropped: list[int] = []
        self.cancelled = False

    def send_response(self, request_key: int, response: InferenceResponse | None, flags: int) -> None:
        self.sent.append((request_key, response, flags))

    def sender_dropped(self, request_key: int) -> None:
        self.dropped.append(request_key)

    def is_cancelled(self, request_key: int) -> bool:
        return self.cancelled


@pytest.fixture
def host() -> Iterator[FakeHost]:
    with in_charge(FakeHost()) as fake:
        yield fake


# Sends as (response?, flags); the last one fails with the text, or all pass.
@pytest.mark.parametrize(
    ("key", "decoupled", "sends", "text"),
    [
        (1, True, [(True, 2)], UNSUPPORTED),
        (None, True, [(False, 7)], UNSUPPORTED),
        (None, True, [(False, 0)], NO_RESPONSE),
        (None, True, [(False, 1)], NO_MODEL),
        (None, False, [(True, 0)], NO_MODEL),
        (1, True, [(True, 0), (True, 0), (False, 1)], None),
        (1, True, [(False, 1)], None),
        (1, True, [(True, 1)], None),
        (1, True, [(True, 1), (True, 0)], CLOSED),
        (1, True, [(False, 1), (False, 1)], CLOSED),
        (1, False, [(True, 1)], None),
        (1, False, [(True, 0), (False, 1)], None),
        (1, False, [(False, 1)], FINAL_FIRST),
        (1, False, [(True, 0), (True, 1)], SECOND),
        (1, False, [(True, 1), (True, 1)], SECOND),
        (1, False, [(True, 1), (False, 1)], CLOSED),
    ],
)
def test_the_rules_of_sending(host: FakeHost, key: int | None, decoupled: bool, sends: Any, text: str | None) -> None:
    sender = InferenceResponseSender._of(key, decoupled)
    wanted = [(RESPONSE if response else None, flags) for response, flags in sends]
    for response, flags in wanted[:-1]:
        sender.send(response, flags)
    if text is None:
        sender.send(*wanted[-1])
        assert host.sent == [(key, *send) for send in wanted]
    else:
        with pytest.raises(TritonModelException) as caught:
            sender.send(*wanted[-1])
        assert str(caught.value) == text
        assert host.sent == [(key, *send) for send in wanted[:-1]]


@pytest.mark.parametrize(("args", "kwargs"), [((3,), {}), ((), {"flags": -1}), ((), {"flags": None}), ((), {"x": 1})])
def test_wrong_types_are_refused(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError) as caught:
        InferenceResponseSender._of(None, True).send(*args, **kwargs)
    assert str(caught.value).startswith(
        "send(): incompatible function arguments. The following argument types are supported:\n"
        "    1. (self: c_python_backend_utils.InferenceResponseSender, response:"
        " c_python_backend_utils.InferenceResponse = None, flags: int = 0) -> None\n\nInvoked with: <c_python_backend"
    )


@pytest.mark.parametrize(
    ("key", "flags", "dropped"), [(1, None, [1]), (1, 0, [1]), (1, 1, []), (None, None, [])], ids=str
)
def test_a_sender_that_never_said_final_is_missed(
    host: FakeHost, key: int | None, flags: int | None, dropped: list[int]
) -> None:
    gc.collect()  # senders of other tests
    host.dropped.clear()
    sender = InferenceResponseSender._of(key, True)
    if flags is not None:
        sender.send(RESPONSE, flags)
    del sender
    gc.collect()
    assert host.dropped == dropped


def test_a_sender_closed_by_the_executor_is_not_missed(host: FakeHost) -> None:
    sender = InferenceResponseSender._of(1, True)
    assert sender._close()
    assert not sender._close()
    with pytest.raises(TritonModelException, match="has been closed"):
        sender.send(RESPONSE)
    del sender
    gc.collect()
    assert host.dropped == []


def test_cancellation_is_remembered(host: FakeHost) -> None:
    sender = InferenceResponseSender._of(1, True)
    assert not sender.is_cancelled()
    host.cancelled = True
    assert sender.is_cancelled()
    host.cancelled = False
    assert sender.is_cancelled()


@pytest.mark.parametrize("native", [InferenceResponseSender, ResponseIterator])
def test_neither_is_made_by_models(native: type) -> None:
    with pytest.raises(TypeError, match=rf"^c_python_backend_utils\.{native.__name__}: No constructor defined!$"):
        native()


def test_an_iterator_replays_after_its_end() -> None:
    items = [InferenceResponse() for _ in range(3)]
    iterator = ResponseIterator._over(iter(items), lambda: None)
    assert iter(iterator) is iterator
    assert list(iterator) == items
    assert list(iterator) == items
    assert next(iter(iterator)) is items[0]


def test_a_loop_that_was_left_goes_on_where_it_stopped() -> None:
    items = [InferenceResponse() for _ in range(3)]
    iterator = ResponseIterator._over(iter(items), lambda: None)
    assert next(iterator) is items[0]
    assert list(iterator) == items[1:]


def test_the_end_says_what_it_is() -> None:
    iterator = ResponseIterator._over(iter(()), lambda: None)
    for _ in range(2):
        with pytest.raises(StopIteration, match=r"^Iteration is done for the responses\.$"):
            next(iterator)


def test_cancel_is_passed_on() -> None:
    calls: list[int] = []
    iterator = ResponseIterator._over(iter(()), lambda: calls.append(1))
    iterator.cancel()
    iterator.cancel()
    assert calls == [1, 1]
