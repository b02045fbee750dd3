"""What is written around a function, run as a model off any server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from jupyter_pyserve.notebook.functions.annotations import TensorType, facts_of
from jupyter_pyserve.notebook.functions.writing import beginning, describe, ending


def model_of(function: Any, *, batch: bool = False, names: Sequence[str] = ()) -> Any:
    facts = facts_of(function, batch=batch, output_names=names)
    namespace = {function.__name__: function, "__name__": "model"}
    name = function.__name__
    exec(beginning("m", name, facts) + ending(name, facts, batch=batch), namespace)
    kind: Any = namespace["TritonPythonModel"]
    return kind()


def request(**inputs: Any) -> Any:
    tensors = [pb_utils.Tensor(name, value) for name, value in inputs.items()]
    return pb_utils.InferenceRequest(inputs=tensors, requested_output_names=["output"], model_name="m")


def outputs(response: Any) -> dict[str, Any]:
    return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}


def text(*words: str) -> np.ndarray[Any, Any]:
    return np.array([word.encode() for word in words], dtype=object)


def test_values_and_texts() -> None:
    class Answer(NamedTuple):
        text: str
        numbers: list[float]
        flag: bool

    def f(word: str, times: int = 2) -> Answer:
        return Answer(word * times, [float(times)] * 2, times > 2)

    f.__annotations__["return"] = Answer
    (first, second) = model_of(f).execute([request(word=text("ä")), request(word=text("b"), times=np.array([3]))])
    assert outputs(first)["text"].tolist() == ["ää".encode()]
    assert outputs(second)["text"].tolist() == [b"bbb"]
    assert (outputs(second)["numbers"].dtype, outputs(second)["flag"].tolist()) == (np.float64, [True])


def test_arrays_become_what_was_said() -> None:
    def f(x: Any, y: Any) -> Any:
        assert y.shape == (2,)
        return x.sum(axis=0), [b"a"]

    rows, row = TensorType("FP32", (-1, 2)), NDArray[np.int8]
    f.__annotations__ = {"x": rows, "y": row, "return": tuple[TensorType("INT32", (2,)), list[bytes]]}  # type: ignore[misc]
    (answer,) = model_of(f).execute([request(x=np.ones((3, 2), np.float32), y=np.ones((2,), np.int8))])
    assert outputs(answer)["output_0"].dtype == np.int32
    assert outputs(answer)["output_0"].tolist() == [3, 3]
    assert outputs(answer)["output_1"].tolist() == [b"a"]


def test_stacked_requests_are_one_call_and_are_split_again() -> None:
    calls = []

    def f(words: Any, x: Any) -> Any:
        calls.append(words)
        return [len(word) for word in words], x * 2

    pair = TensorType("FP32", (2,))
    f.__annotations__ = {"words": list[str], "x": pair, "return": tuple[list[int], pair]}  # type: ignore[valid-type]
    first = request(words=text("a", "bb").reshape(2, 1), x=np.ones((2, 2), np.float32))
    second = request(words=text("ccc").reshape(1, 1), x=np.zeros((1, 2), np.float32))
    one, two = model_of(f, batch=True).execute([first, second])
    assert calls == [["a", "bb", "ccc"]]
    assert outputs(one)["output_0"].tolist() == [[1], [2]]
    assert outputs(two)["output_0"].tolist() == [[3]]
    assert outputs(one)["output_1"].tolist() == [[2, 2], [2, 2]]


def test_coroutines_overlap() -> None:
    met = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None

    async def f(x: int) -> int:
        if met is not None:
            await met.wait()
        return x + 1

    answers = asyncio.run(model_of(f).execute([request(x=np.array([1])), request(x=np.array([2]))]))
    assert [outputs(answer)["output"].tolist() for answer in answers] == [[2], [3]]


def test_a_generator_answers_any_number_of_times_and_tells_of_its_failure() -> None:
    def f(n: int) -> Iterator[int]:
        yield from range(n)
        if n == 2:
            raise ValueError("two")

    model = model_of(f)
    written = ending("f", facts_of(f, batch=False), batch=False)
    assert "sender.is_cancelled()" in written
    compile(written, "model.py", "exec")
    assert model is not None


def test_an_asynchronous_generator() -> None:
    async def f(n: int) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        yield n

    written = ending("f", facts_of(f, batch=False), batch=False)
    assert "async for answer in f(**_inputs(request)):" in written
    compile(written, "model.py", "exec")


class Both(NamedTuple):
    a: float
    b: float


class Keyed(TypedDict):
    a: float
    b: float


@pytest.mark.parametrize("kind", [Both, Keyed])
def test_outputs_may_be_called_otherwise_and_anything(kind: Any) -> None:
    def f(x: float) -> Any:
        return kind(a=x, b=-x)

    f.__annotations__["return"] = kind
    names = ["first", 'a"), ("\n']
    (answer,) = model_of(f, names=names).execute([request(x=np.array([2.0]))])
    assert outputs(answer) == {names[0]: np.array([2.0]), names[1]: np.array([-2.0])}


def test_a_description() -> None:
    def f(x: int) -> str:
        return str(x)

    assert describe(facts_of(f, batch=False)) == "(x INT64 [1]) -> (output STRING [1])"


@pytest.mark.parametrize("batch", [True, False])
def test_nothing_of_this_project_is_needed(batch: bool) -> None:
    def f(x: list[int]) -> list[int]:
        return x

    facts = facts_of(f, batch=batch)
    assert "pyserve" not in ending("f", facts, batch=batch)
    assert "import jupyter_pyserve" not in beginning("m", "f", facts)
