"""Calls over gRPC that stock clients give up, limit or keep open: cancellation, deadlines, streams, connections."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.process.client import command
from tests.process.gates import Gate
from tests.process.waiting import DEADLINE_S, wait_until
from tests.support.stock import Address, Stock, stock


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()


def times(client: Stock, count: int, **texts: object) -> list[Any]:
    """The inputs that make a repeater repeat."""
    named = [client.tensor(name, np.array([str(text).encode()], object)) for name, text in texts.items()]
    return [client.tensor("COUNT", np.array([count], np.int32)), *named]


def watching(client: Stock, gate: Gate, seen: Path) -> list[Any]:
    """The inputs that make a puppet wait until nobody waits for it."""
    given = command("watch_for_cancel", gate=str(gate), seen=str(seen))
    return [client.tensor(name, array) for name, array in given.items()]


class Answers:
    """What a stream's callback is given."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def __call__(self, result: Any, error: Any) -> None:
        self._queue.put((result, error))

    def next(self) -> Any:
        result, error = self._queue.get(timeout=DEADLINE_S)
        if error is not None:
            raise error
        return result

    def empty(self) -> bool:
        return self._queue.empty()


# -- giving up --------------------------------------------------------------------------------------------------------


def test_a_call_that_is_cancelled(address: Address, gate: Gate, tmp_path: Path) -> None:
    seen, answers = tmp_path / "seen", Answers()

    async def scenario() -> None:
        async with stock("grpc", address) as client:
            call = await client.do("async_infer", "puppet", watching(client, gate, seen), answers)
            gate.open()
            call.cancel()
            with pytest.raises(InferenceServerException, match="CANCELLED"):
                answers.next()

    asyncio.run(scenario())
    wait_until(seen.exists, "the model sees it")


def test_a_coroutine_that_is_cancelled(address: Address, gate: Gate, tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    async def scenario() -> None:
        async with stock("grpc_aio", address) as client:
            waiting = asyncio.create_task(client.do("infer", "puppet", watching(client, gate, seen)))
            await asyncio.to_thread(gate.open)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(scenario())
    wait_until(seen.exists, "the model sees it")


@pytest.mark.parametrize("kind", ["grpc", "grpc_aio"])
def test_a_deadline_of_a_client(address: Address, kind: str, gate: Gate, tmp_path: Path) -> None:
    """The request is held until it has passed."""

    async def scenario() -> None:
        async with stock(kind, address) as client:
            given = [client.tensor(name, array) for name, array in command("hold", gate=str(gate)).items()]
            with pytest.raises(InferenceServerException, match="Deadline Exceeded") as late:
                await client.do("infer", "puppet", given, client_timeout=0.3)
            assert late.value.status() == "StatusCode.DEADLINE_EXCEEDED"
            assert await client.do("is_server_live", client_timeout=DEADLINE_S)

    asyncio.run(scenario())
    gate.open()


# -- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("wanted", [False, True])
def test_an_empty_end_for_those_who_ask(address: Address, wanted: bool, algorithm: str | None) -> None:
    async def scenario() -> None:
        async with stock("grpc", address) as client:
            answers = Answers()
            await client.do("start_stream", answers, compression_algorithm=algorithm)
            for count in (2, 0):
                given = times(client, count)
                options = {"request_id": str(count), "enable_empty_final_response": wanted}
                await client.do("async_stream_infer", "repeat", given, **options)
            responses = [answers.next().get_response(as_json=True) for _ in range(4 if wanted else 2)]
            await client.do("stop_stream")
            assert answers.empty()
            ends = [each for each in responses if each["parameters"]["triton_final_response"].get("bool_param")]
            assert [(each["id"], "outputs" in each) for each in ends] == ([("2", False), ("0", False)] * wanted)

    asyncio.run(scenario())


def test_a_stream_that_is_stopped_with_its_requests(address: Address, tmp_path: Path) -> None:
    seen, answers = tmp_path / "seen", Answers()

    async def scenario() -> None:
        async with stock("grpc", address) as client:
            await client.do("start_stream", answers)
            await client.do("async_stream_infer", "repeat", times(client, -1, SEEN=seen))
            assert answers.next().as_numpy("OUT")[0] == 0
            await client.do("stop_stream", cancel_requests=True)
            wait_until(seen.exists, "the model sees it")
            await client.do("start_stream", again := Answers())
            await client.do("async_stream_infer", "repeat", times(client, 1))
            assert again.next().as_numpy("OUT")[0] == 0
            await client.do("stop_stream")

    asyncio.run(scenario())


def test_a_stream_of_coroutines_that_is_cancelled(address: Address, tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    async def scenario() -> None:
        async with stock("grpc_aio", address) as client:
            stream = await client.do("stream_infer", one(client))
            result, error = await anext(stream)
            assert (result.as_numpy("OUT")[0], error) == (0, None)
            assert stream.cancel()
            with pytest.raises(asyncio.CancelledError):
                await last(stream)

    async def last(stream: AsyncIterator[Any]) -> None:
        async for _ in stream:
            pass

    async def one(client: Stock) -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": "repeat", "inputs": times(client, -1, SEEN=seen)}

    asyncio.run(scenario())
    wait_until(seen.exists, "the model sees it")


def test_a_stream_with_a_deadline(address: Address, tmp_path: Path) -> None:
    seen, answers = tmp_path / "seen", Answers()

    async def scenario() -> None:
        async with stock("grpc", address) as client:
            await client.do("start_stream", answers, stream_timeout=0.3)
            await client.do("async_stream_infer", "repeat", times(client, -1, SEEN=seen))
            with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
                for _ in iter(answers.next, None):
                    pass
            wait_until(seen.exists, "the model sees it")

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["grpc", "grpc_aio"])
def test_sequences_and_failures_in_a_stream(address: Address, kind: str) -> None:
    """Sequences go forward in their order; a request that fails is answered, and the others are too."""

    async def scenario() -> None:
        async with stock(kind, address) as client:
            found = await (called_back(client) if kind == "grpc" else iterated(client))
            assert [each for each in found if not isinstance(each, str)] == [1, 3, 6]
            assert [each for each in found if isinstance(each, str)] == [
                "Request for unknown model: 'nobody' is not found"
            ]

    def requests(client: Stock) -> list[dict[str, Any]]:
        asked = []
        for step in range(3):
            text = np.array([[json.dumps({"add": step + 1}).encode()]], object)
            flags = {"sequence_id": "stream", "sequence_start": step == 0, "sequence_end": step == 2}
            asked.append({"model_name": "sequence", "inputs": [client.tensor("COMMAND", text)], **flags})
        return [asked[0], {"model_name": "nobody", "inputs": asked[0]["inputs"]}, *asked[1:]]

    def total(result: Any) -> int:
        return int(json.loads(result.as_numpy("ANSWER").ravel()[0])["total"])

    async def called_back(client: Stock) -> list[Any]:
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        await client.do("start_stream", lambda result, error: answers.put((result, error)))
        for request in requests(client):
            await client.do("async_stream_infer", **request)
        await client.do("stop_stream")
        return [error.message() if error else total(result) for result, error in answers.queue]

    async def iterated(client: Stock) -> list[Any]:
        async def each() -> AsyncIterator[dict[str, Any]]:
            for request in requests(client):
                yield request

        stream = await client.do("stream_infer", each())
        return [error.message() if error else total(result) async for result, error in stream]

    asyncio.run(scenario())


# -- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["grpc", "grpc_aio"])
def test_options_of_the_connection(address: Address, kind: str) -> None:
    keepalive = triton.KeepAliveOptions(
        keepalive_time_ms=10_000,
        keepalive_timeout_ms=5_000,
        keepalive_permit_without_calls=True,
        http2_max_pings_without_data=0,
    )

    async def scenario() -> None:
        for options in (
            {"keepalive_options": keepalive},
            {"channel_args": [("grpc.max_receive_message_length", 4096)]},
        ):
            async with stock(kind, address, **options) as client:
                assert await client.do("is_server_ready")
        async with stock(kind, address, channel_args=[("grpc.max_receive_message_length", 4096)]) as client:
            with pytest.raises(InferenceServerException, match="larger than max"):
                await client.infer("identity", {"INPUT0": np.zeros((1, 4096), np.float32)})

    asyncio.run(scenario())
