"""Tensors that stock clients leave in shared memory, made by their own utility, for either protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient import utils
from tritonclient.utils import InferenceServerException, shared_memory

from tests.support.stock import Address, Stock, stock

KEY = "/pyserve_stock_clients"
NBYTES = 4096
ARRAY = np.arange(24, dtype=np.float32).reshape(2, 12)
TEXTS = np.array([["", "é✓", "plain"]], object)


@pytest.fixture
def memory() -> Iterator[Any]:
    made = shared_memory.create_shared_memory_region("ours", KEY, NBYTES, create_only=True)
    try:
        assert KEY in shared_memory.mapped_shared_memory_regions()
        yield made
    finally:
        shared_memory.destroy_shared_memory_region(made)


def play(kind: str, address: Address, scenario: Any) -> None:
    """With the region known to the server."""

    async def registered() -> None:
        async with stock(kind, address) as client:
            await client.do("register_system_shared_memory", "region", KEY, NBYTES - 64, offset=64)
            try:
                await scenario(client)
            finally:
                await client.do("unregister_system_shared_memory", "region")

    asyncio.run(registered())


def placed(client: Stock, name: str, array: Any, datatype: str, offset: int, nbytes: int) -> Any:
    made = client.values.InferInput(name, list(array.shape), datatype)
    made.set_shared_memory("region", nbytes, offset)
    return made


def test_inputs_and_outputs(address: Address, kind: str, memory: Any) -> None:
    shared_memory.set_shared_memory_region(memory, [ARRAY], offset=64 + 128)

    async def scenario(client: Stock) -> None:
        given = [placed(client, "INPUT0", ARRAY, "FP32", 128, ARRAY.nbytes)]
        wanted = client.wanted("OUTPUT0")
        wanted.set_shared_memory("region", ARRAY.nbytes, 512)
        result = await client.do("infer", "identity", given, outputs=[wanted])
        assert result.get_output("OUTPUT0") is not None
        found = shared_memory.get_contents_as_numpy(memory, np.float32, [2, 12], offset=64 + 512)
        np.testing.assert_array_equal(found, ARRAY)
        wanted.unset_shared_memory()
        result = await client.do("infer", "identity", given, outputs=[wanted])
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), ARRAY)

    play(kind, address, scenario)


def test_only_an_output(address: Address, kind: str, memory: Any) -> None:
    async def scenario(client: Stock) -> None:
        sums, differences = client.wanted("SUM"), client.wanted("DIFFERENCE")
        sums.set_shared_memory("region", 16, 0)
        given = {"A": np.full((1, 2), 3, np.float32), "B": np.ones((1, 2), np.float32)}
        result = await client.infer("pair", given, outputs=[sums, differences])
        np.testing.assert_array_equal(result.as_numpy("DIFFERENCE"), [[2, 2]])
        found = shared_memory.get_contents_as_numpy(memory, np.float32, [1, 2], offset=64)
        np.testing.assert_array_equal(found, [[4, 4]])

    play(kind, address, scenario)


def test_texts(address: Address, kind: str, memory: Any) -> None:
    serialized = utils.serialize_byte_tensor(TEXTS)
    nbytes = utils.serialized_byte_size(serialized)
    shared_memory.set_shared_memory_region(memory, [serialized], offset=64)

    async def scenario(client: Stock) -> None:
        wanted = client.wanted("OUTPUT0")
        wanted.set_shared_memory("region", nbytes, 1024)
        given = [placed(client, "INPUT0", TEXTS, "BYTES", 0, nbytes)]
        await client.do("infer", "texts", given, outputs=[wanted])
        found = shared_memory.get_contents_as_numpy(memory, np.object_, [1, 3], offset=64 + 1024)
        assert [text.decode() for text in found.ravel()] == TEXTS.ravel().tolist()

    play(kind, address, scenario)


@pytest.mark.parametrize(("offset", "nbytes"), [(NBYTES - 64, 8), (0, NBYTES), (NBYTES - 68, 8)])
def test_what_lies_outside(address: Address, kind: str, memory: Any, offset: int, nbytes: int) -> None:
    async def scenario(client: Stock) -> None:
        given = [placed(client, "INPUT0", np.zeros((1, nbytes // 4)), "FP32", offset, nbytes)]
        with pytest.raises(InferenceServerException, match="Invalid offset"):
            await client.do("infer", "identity", given)

    play(kind, address, scenario)
