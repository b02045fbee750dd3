from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pytest
from numpy.typing import NDArray

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.functions.annotations import Tensor, TensorType, facts_of

FP32_ROWS = Tensor.__class_getitem__(("FP32", -1, 224))


class Answer(NamedTuple):
    label: str
    score: float


@dataclass
class Options:
    size: int


class Keyed(TypedDict):
    a: bool


def function(returns: object = float, defaults: tuple[object, ...] = (), **hints: object) -> Callable[..., Any]:
    names = ", ".join(hints)
    namespace: dict[str, Any] = {}
    exec(f"def f({names}): ...", namespace)
    made = namespace["f"]
    made.__annotations__ = {**hints, **({} if returns is ... else {"return": returns})}
    made.__defaults__ = defaults
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("hint", "datatype", "dims", "form"),
    [
        (FP32_ROWS, "FP32", (-1, 224), "tensor"),
        (TensorType("BYTES", (-1,)), "STRING", (-1,), "tensor"),
        (NDArray[np.float32], "FP32", (-1,), "row"),
        (NDArray[np.bool_], "BOOL", (-1,), "row"),
        (NDArray[np.uint8], "UINT8", (-1,), "row"),
        (float, "FP64", (1,), "value"),
        (int, "INT64", (1,), "value"),
        (bool, "BOOL", (1,), "value"),
        (str, "STRING", (1,), "value"),
        (bytes, "STRING", (1,), "value"),
        (np.float16, "FP16", (1,), "value"),
        (list[str], "STRING", (-1,), "list"),
        ("list[int]", "INT64", (-1,), "list"),
    ],
)
def test_what_an_annotation_says(hint: object, datatype: str, dims: tuple[int, ...], form: str) -> None:
    (spec,) = facts_of(function(x=hint), batch=False).inputs
    assert (spec.name, spec.data_type, spec.dims, spec.form, spec.optional) == ("x", datatype, dims, form, False)


@pytest.mark.parametrize(
    ("hint", "names", "result"),
    [
        (float, ["output"], "single"),
        (tuple[int, str], ["output_0", "output_1"], "tuple"),
        (Answer, ["label", "score"], "fields"),
        (Options, ["size"], "fields"),
        (Keyed, ["a"], "keys"),
    ],
)
def test_what_is_returned(hint: object, names: list[str], result: str) -> None:
    facts = facts_of(function(hint, x=int), batch=False)
    assert ([spec.name for spec in facts.outputs], facts.result, facts.streams) == (names, result, False)


def test_names_for_outputs() -> None:
    facts = facts_of(function(tuple[int, str], x=int), batch=False, output_names=["n", "text"])
    assert [spec.name for spec in facts.outputs] == ["n", "text"]
    with pytest.raises(PyServeError, match="2 outputs, and 1 names"):
        facts_of(function(tuple[int, str], x=int), batch=False, output_names=["n"])


def test_generators_stream() -> None:
    assert facts_of(function(Iterator[int], x=int), batch=False).streams

    async def later(x: int) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        yield x

    facts = facts_of(later, batch=False)
    assert (facts.streams, facts.is_async, facts.outputs[0].datatype) == (True, True, "INT64")


def test_a_default_makes_an_input_optional() -> None:
    facts = facts_of(function(x=int, y=int, defaults=(1,)), batch=False)
    assert [spec.optional for spec in facts.inputs] == [False, True]


def test_with_batching_a_list_has_a_value_for_each_row() -> None:
    facts = facts_of(function(NDArray[np.int8], x=list[str], y=FP32_ROWS), batch=True)
    assert [(spec.dims, spec.form) for spec in facts.inputs] == [((1,), "list"), ((-1, 224), "tensor")]
    assert facts.outputs[0].dims == (1,)


@pytest.mark.parametrize(
    ("made", "batch", "text"),
    [
        (function(), False, "needs an input"),
        (function(..., x=int), False, "doesn't say what it returns"),
        (function(None, x=int), False, "doesn't say what it returns"),
        (function(x=dict), False, "'x' is annotated with <class 'dict'>"),
        (function(x=np.ndarray), False, "'x' is annotated with <class 'numpy.ndarray'>"),
        (function(x=list[object]), False, "which is none of"),
        (function(dict, x=int), False, "a dict doesn't name its outputs"),
        (function(tuple[int, ...], x=int), False, "tuple of any length"),
        (function(x="Nowhere"), False, "can't be read: NameError"),
        (function(list[int], x=int), True, "annotate it list\\[int\\]"),
        (function(list[int], x=list[int], defaults=(1,)), True, "has a default"),
        (function(Iterator[list[int]], x=list[int]), True, "can't have its requests stacked"),
        (lambda *args: None, False, "inputs have names"),
        (lambda x: None, False, "doesn't say what it is"),
    ],
)
def test_what_can_not_be_a_model_says_why(made: Callable[..., Any], batch: bool, text: str) -> None:
    with pytest.raises(PyServeError, match=text):
        facts_of(made, batch=batch)


@pytest.mark.parametrize("item", ["FLOAT", ("FP32", 0), ("FP32", "a"), ("FP32", -2), 3])
def test_a_tensor_that_is_none(item: object) -> None:
    with pytest.raises(PyServeError, match='is not like Tensor\\["FP32", -1, 224\\]'):
        Tensor.__class_getitem__(item)
    assert Tensor.__class_getitem__("FP32") == TensorType("FP32", (-1,))
