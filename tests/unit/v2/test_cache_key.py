from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.v2.cache_key import cache_identity, cache_key
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputRef

Tensor = tuple[str, str, tuple[int, ...], bytes]

MODEL_OUTPUTS = ("O", "P")


def request(tensors: Sequence[Tensor], outputs: Sequence[str] = (), **facts: Any) -> InferRequest:
    made = InferRequest(
        id="",
        inputs=tuple(
            InputRef(name=name, datatype=datatype, shape=shape, offset=0, nbytes=len(data))
            for name, datatype, shape, data in tensors
        ),
        outputs=tuple(OutputRef(name=name) for name in outputs),
        parameters={},
    )
    return replace(made, **facts)


def key(tensors: Sequence[Tensor], outputs: Sequence[str] = (), **facts: Any) -> bytes:
    identity = cache_identity(request(tensors, outputs, **facts), MODEL_OUTPUTS)
    return cache_key(identity, [tensors[index][3] for index in identity.order])


A: Tensor = ("A", "INT8", (1, 4), b"abcd")
B: Tensor = ("B", "BYTES", (1,), b"\x01\x00\x00\x00x")


@pytest.mark.parametrize(
    ("tensors", "outputs", "facts"),
    [
        ([("A", "INT8", (2, 2), b"abcd")], (), {}),
        ([("A", "INT8", (4,), b"abcd")], (), {}),
        ([("A", "UINT8", (1, 4), b"abcd")], (), {}),
        ([("A2", "INT8", (1, 4), b"abcd")], (), {}),
        ([("A", "INT8", (1, 4), b"abce")], (), {}),
        ([A, B], (), {}),
        ([A], ("O",), {}),
        ([A], ("P",), {}),
        ([A], (), {"parameters": {"k": 1}}),
        ([A], (), {"parameters": {"k": True}}),
        ([A], (), {"parameters": {"k": "1"}}),
        ([A], (), {"parameters": {"k": "\udc80"}}),
        ([A], (), {"correlation_id": 7}),
        ([A], (), {"correlation_id": "7"}),
        ([A], (), {"flags": 1}),
    ],
)
def test_what_a_model_may_answer_by_makes_another_key(
    tensors: Sequence[Tensor], outputs: Sequence[str], facts: Mapping[str, Any]
) -> None:
    assert key(tensors, outputs, **facts) != key([A])


def test_all_of_those_are_different_from_each_other() -> None:
    facts: list[Mapping[str, Any]] = [{"parameters": {"k": value}} for value in (1, 1.0, True, "1", "True")]
    facts += [{"correlation_id": value} for value in (1, "1")]
    assert len({key([A], **item) for item in facts}) == len(facts)


@pytest.mark.parametrize("facts", [{"id": "x"}, {"priority": 3}, {"timeout_us": 10}, {"binary_data_output": True}])
def test_what_a_model_does_not_answer_by_makes_no_difference(facts: Mapping[str, Any]) -> None:
    assert key([A], **facts) == key([A])


def test_order_makes_no_difference() -> None:
    assert key([A, B]) == key([B, A])
    assert key([A], ("P", "O")) == key([A], ("O", "P")) == key([A])


def test_bytes_do_not_wander_between_inputs() -> None:
    one: list[Tensor] = [("A", "BYTES", (1,), b"xy"), ("B", "BYTES", (1,), b"z")]
    other: list[Tensor] = [("A", "BYTES", (1,), b"x"), ("B", "BYTES", (1,), b"yz")]
    assert key(one) != key(other)


names = st.text(alphabet="ab'\"(), ", min_size=1, max_size=4)
tensors = st.lists(
    st.tuples(names, st.sampled_from(["INT8", "BYTES"]), st.tuples(st.integers(1, 3)), st.binary(max_size=4)),
    max_size=3,
    unique_by=lambda item: item[0],
)


@given(tensors, tensors, st.sets(names, max_size=2), st.sets(names, max_size=2))
def test_two_keys_are_equal_when_the_requests_are(
    one: list[Tensor], other: list[Tensor], some: set[str], others: set[str]
) -> None:
    same = sorted(one) == sorted(other) and (some or set(MODEL_OUTPUTS)) == (others or set(MODEL_OUTPUTS))
    assert (key(one, sorted(some)) == key(other, sorted(others))) == same
