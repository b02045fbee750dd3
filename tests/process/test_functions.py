"""What is written around a typed function, served: streams, their failures, coroutines, stacked requests."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.functions.decorator import ModelFunction, model
from jupyter_pyserve.notebook.functions.writing import beginning, ending
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.process.client import outputs
from tests.process.engine import Engine


@model
def counts(n: int) -> Iterator[int]:
    for number in range(n):
        if number == 3:
            raise ValueError("three")
        yield number


@model
async def shouts(words: list[str]) -> AsyncIterator[str]:
    for word in words:
        yield word.upper()


@model
async def doubles(x: float) -> float:
    return 2 * x


@model(max_batch_size=8, max_queue_delay_us=5_000_000, preferred_batch_size=[4])
def measures(text: list[str]) -> tuple[list[int], list[int]]:
    return [len(item) for item in text], [len(text)] * len(text)


def deploy(engine: Engine, function: ModelFunction) -> str:
    """As from a cell, whose text is this file's."""
    name = function.name
    text = inspect.getsource(function.function)
    body = textwrap.dedent(text[text.index("def ") :] if "async def " not in text else text[text.index("async def ") :])
    facts, batch = function.facts, function.options.batch
    source = f"{beginning(name, name, facts)}\n{body}\n{ending(name, facts, batch=batch)}"
    assert engine.deploy(name, source, function.config_pbtxt)[-1]["event"] == "ready"
    return name


def remove(engine: Engine, name: str) -> None:
    assert engine.http.post(f"/api/models/{name}/undeploy", {"delete": True}).status == 200


def streamed(engine: Engine, name: str, inputs: dict[str, Any]) -> list[Any]:
    lane = engine.lane()
    answers: list[Any] = []
    try:
        for answer in lane.stream(name, inputs, RequestOptions(timeout_s=30)):
            answers.append(answer["output"].tolist()[0])  # noqa: PERF401 - what came before an error counts
    except PyServeError as error:
        answers.append(error.message)
    finally:
        lane.close()
    return answers


def test_a_generator_streams_and_its_failure_is_the_last_answer(engine: Engine) -> None:
    name = deploy(engine, counts)
    assert streamed(engine, name, {"n": np.array([2])}) == [0, 1]
    assert streamed(engine, name, {"n": np.array([5])}) == [0, 1, 2, "ValueError: three"]
    remove(engine, name)


def test_an_asynchronous_generator_streams(engine: Engine) -> None:
    name = deploy(engine, shouts)
    assert streamed(engine, name, {"words": np.array(["a", "b"], dtype=object)}) == [b"A", b"B"]
    remove(engine, name)


def test_a_coroutine_answers(engine: Engine) -> None:
    name = deploy(engine, doubles)
    assert outputs(engine.infer(name, {"x": np.array([1.5])}))["output"].tolist() == [3.0]
    remove(engine, name)


def test_requests_that_come_together_are_one_call(engine: Engine) -> None:
    name = deploy(engine, measures)
    texts = ["a", "bb", "ccc", "dddd"]
    asked = [engine.infer_later(name, {"text": np.array([[text]], dtype=object)}) for text in texts]
    answers = [outputs(item.result()) for item in asked]
    assert [answer["output_0"].tolist() for answer in answers] == [[[1]], [[2]], [[3]], [[4]]]
    assert max(int(answer["output_1"][0, 0]) for answer in answers) > 1
    remove(engine, name)
