"""What stock clients can say about an inference: forms of tensors, classes, sequences, limits, ways to wait."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.http.auth import BasicAuth
from tritonclient.utils import InferenceServerException

from tests.process.client import command
from tests.process.gates import Gate
from tests.process.waiting import DEADLINE_S
from tests.support.stock import Address, Stock, stock
from tests.support.transport import Array

ROW = np.array([[1, 2]], np.float32)
TEXTS = np.array([["", "é✓", "plain"]], object)
COMPRESSIONS = [None, "gzip", "deflate"]


def run(kind: str, address: Address, scenario: Any, **options: Any) -> None:
    async def connected() -> None:
        async with stock(kind, address, **options) as client:
            await scenario(client)

    asyncio.run(connected())


async def told(client: Stock, word: str, **options: Any) -> list[str]:
    """What a model can see of its request."""
    result = await client.infer("behave", {"COMMAND": np.array([word.encode()], object)}, **options)
    return [text.decode() for text in result.as_numpy("TEXT")]


# -- tensors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "http_aio"])
@pytest.mark.parametrize("sent", [(True, True), (False, False), (True, False)], ids=["binary", "json", "mixed"])
@pytest.mark.parametrize("wanted", [(True, True), (False, False), (False, True)], ids=["binary", "json", "mixed"])
def test_binary_and_json(address: Address, kind: str, sent: tuple[bool, bool], wanted: tuple[bool, bool]) -> None:
    async def scenario(client: Stock) -> None:
        given = [
            client.tensor(name, row, binary_data=binary)
            for name, row, binary in zip("AB", (ROW * 10, ROW), sent, strict=True)
        ]
        names = ("SUM", "DIFFERENCE")
        asked = [client.wanted(name, binary_data=binary) for name, binary in zip(names, wanted, strict=True)]
        result = await client.do("infer", "pair", given, outputs=asked)
        np.testing.assert_array_equal(result.as_numpy("SUM"), ROW * 11)
        np.testing.assert_array_equal(result.as_numpy("DIFFERENCE"), ROW * 9)
        for name, binary in zip(names, wanted, strict=True):
            assert ("data" in result.get_output(name)) is not binary

    run(kind, address, scenario)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", ["http", "http_aio"])
def test_texts_in_either_form(address: Address, kind: str, binary: bool) -> None:
    async def scenario(client: Stock) -> None:
        given = [client.tensor("INPUT0", TEXTS, "BYTES", binary_data=binary)]
        asked = [client.wanted("OUTPUT0", binary_data=binary)]
        result = await client.do("infer", "texts", given, outputs=asked)
        found = [item.decode() if isinstance(item, bytes) else item for item in result.as_numpy("OUTPUT0").ravel()]
        assert found == TEXTS.ravel().tolist()

    run(kind, address, scenario)


def test_bfloat16(address: Address, kind: str) -> None:
    array = np.array([0.5, -3, 1024], ml_dtypes.bfloat16)

    async def scenario(client: Stock) -> None:
        result = await client.do("infer", "every_type", [client.tensor("INPUT_BF16", array, "BF16")])
        np.testing.assert_array_equal(result.as_numpy("OUTPUT_BF16"), array)

    run(kind, address, scenario)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint64, np.float16, np.float64])
def test_other_types(address: Address, kind: str, dtype: type) -> None:
    array: Array = np.array([0, 1, 1], dtype)

    async def scenario(client: Stock) -> None:
        made = client.tensor("X", array)
        name = made.datatype()
        result = await client.infer("every_type", {f"INPUT_{name}": array})
        np.testing.assert_array_equal(result.as_numpy(f"OUTPUT_{name}"), array)

    run(kind, address, scenario)


def test_an_input_that_is_used_again(address: Address, kind: str) -> None:
    async def scenario(client: Stock) -> None:
        given = client.tensor("INPUT0", ROW)
        for width in (2, 5):
            given.set_shape([1, width])
            given.set_data_from_numpy(np.full((1, width), width, np.float32))
            result = await client.do("infer", "identity", [given])
            assert given.name() == "INPUT0"
            assert result.as_numpy("OUTPUT0").tolist() == [[width] * given.shape()[1]]

    run(kind, address, scenario)


@pytest.mark.parametrize("answer", COMPRESSIONS)
@pytest.mark.parametrize("question", COMPRESSIONS)
@pytest.mark.parametrize("kind", ["http", "http_aio"])
def test_compression_over_http(address: Address, kind: str, question: str | None, answer: str | None) -> None:
    array = np.arange(50_000, dtype=np.float32).reshape(1, -1)

    async def scenario(client: Stock) -> None:
        names = {"request_compression_algorithm": question, "response_compression_algorithm": answer}
        result = await client.infer("identity", {"INPUT0": array}, **names)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array)

    run(kind, address, scenario)


@pytest.mark.parametrize("algorithm", COMPRESSIONS)
@pytest.mark.parametrize("kind", ["grpc", "grpc_aio"])
def test_compression_over_grpc(address: Address, kind: str, algorithm: str | None) -> None:
    array = np.arange(50_000, dtype=np.float32).reshape(1, -1)

    async def scenario(client: Stock) -> None:
        result = await client.infer("identity", {"INPUT0": array}, compression_algorithm=algorithm)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array)

    run(kind, address, scenario)


def test_classification(address: Address, kind: str) -> None:
    floats = np.array([[0.25, 4, -1, 9]], np.float32)

    async def scenario(client: Stock) -> None:
        asked = [client.wanted("FLOATS_OUT", class_count=2)]
        result = await client.infer("classes", {"FLOATS": floats}, outputs=asked)
        assert result.as_numpy("FLOATS_OUT").tolist() == [[b"9.000000:3:cow", "4.000000:1:dög".encode()]]

    run(kind, address, scenario)


# -- what goes with a request -----------------------------------------------------------------------------------------


def test_parameters(address: Address, kind: str) -> None:
    given = {"text": "é✓", "number": -3, "flag": True}

    async def scenario(client: Stock) -> None:
        (text,) = await told(client, "parameters", parameters=given)
        assert json.loads(text) == given

    run(kind, address, scenario)


def test_a_name_that_is_reserved(address: Address, kind: str) -> None:
    async def scenario(client: Stock) -> None:
        with pytest.raises(InferenceServerException, match="reserved parameter"):
            await told(client, "parameters", parameters={"sequence_id": 1})

    run(kind, address, scenario)


def test_priority_and_timeout(address: Address, kind: str) -> None:
    async def scenario(client: Stock) -> None:
        assert await told(client, "timeout", timeout=5_000_000, priority=1) == ["5000000"]
        assert await told(client, "timeout") == ["0"]

    run(kind, address, scenario)


@pytest.mark.parametrize("sequence", [7, "seven"])
def test_sequences(address: Address, kind: str, sequence: int | str) -> None:
    async def scenario(client: Stock) -> None:
        totals = []
        for step in range(3):
            given = {"COMMAND": np.array([[json.dumps({"add": step + 1}).encode()]], object)}
            flags = {"sequence_start": step == 0, "sequence_end": step == 2}
            result = await client.infer("sequence", given, sequence_id=sequence, **flags)
            totals.append(json.loads(result.as_numpy("ANSWER").ravel()[0])["total"])
        assert totals == [1, 3, 6]

    run(kind, address, scenario)


def test_basic_authentication_reaches_the_server(in_a_terminal: Address, kind: str) -> None:
    async def scenario(client: Stock) -> None:
        await client.do("register_plugin", BasicAuth("ada", "lovelace"))
        (text,) = await told(client, "parameters")
        assert json.loads(text) == {"authorization": f"Basic {base64.b64encode(b'ada:lovelace').decode()}"}

    run(kind, in_a_terminal, scenario)


@pytest.mark.parametrize("headers", [{}, {"authorization": "token wrong"}])
def test_nobody_gets_in_without_the_token(with_a_token: Address, kind: str, headers: dict[str, str]) -> None:
    async def scenario(client: Stock) -> None:
        with pytest.raises(InferenceServerException) as refusal:
            await client.do("get_server_metadata", headers=headers)
        assert refusal.value.status() in ("401", "403", "StatusCode.UNAUTHENTICATED")

    run(kind, with_a_token, scenario)


def test_texts_of_failures(address: Address, kind: str) -> None:
    async def scenario(client: Stock) -> None:
        with pytest.raises(InferenceServerException) as failure:
            await client.infer("nobody", {"INPUT0": ROW})
        assert failure.value.message() == "Request for unknown model: 'nobody' is not found"
        assert failure.value.status() == ("404" if client.is_http else "StatusCode.NOT_FOUND")

    run(kind, address, scenario)


# -- calling ----------------------------------------------------------------------------------------------------------


def test_greenlets_that_wait(address: Address, tmp_path: Path) -> None:
    """An answer that is not there yet is said not to be; others overtake it."""
    gate = Gate(tmp_path / "gate")
    headers = dict(address.headers)
    with triton.InferenceServerClient(address.http, concurrency=2) as client:
        held = [_tensor(name, array) for name, array in command("hold", gate=str(gate)).items()]
        slow = client.async_infer("puppet", held, headers=dict(headers))
        quick = client.async_infer("identity", [_tensor("INPUT0", ROW)], headers=dict(headers))
        np.testing.assert_array_equal(quick.get_result(timeout=DEADLINE_S).as_numpy("OUTPUT0"), ROW)
        with pytest.raises(InferenceServerException, match="failed to obtain inference response"):
            slow.get_result(block=False)
        with pytest.raises(InferenceServerException, match="failed to obtain inference response"):
            slow.get_result(timeout=0.01)
        gate.open()
        assert int(json.loads(slow.get_result(timeout=DEADLINE_S).as_numpy("ANSWER")[0])) > 0
        failing = client.async_infer("nobody", [_tensor("INPUT0", ROW)], headers=dict(headers))
        with pytest.raises(InferenceServerException, match="unknown model"):
            failing.get_result(timeout=DEADLINE_S)


def _tensor(name: str, array: Array) -> Any:
    made = triton.InferInput(name, list(array.shape), "BYTES" if array.dtype == object else "FP32")
    made.set_data_from_numpy(array)
    return made


def test_coroutines_together(address: Address, kind: str) -> None:
    if not kind.endswith("aio"):
        pytest.skip("has no coroutines")

    async def scenario(client: Stock) -> None:
        arrays = [np.full((1, 3), number, np.float32) for number in range(30)]
        results = await asyncio.gather(*(client.infer("identity", {"INPUT0": array}) for array in arrays))
        for result, array in zip(results, arrays, strict=True):
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array)

    run(kind, address, scenario)
