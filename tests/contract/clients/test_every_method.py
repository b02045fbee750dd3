"""Every public method of the four stock clients, one case each; a method that has none fails."""

from __future__ import annotations

import asyncio
import base64
import json
import queue
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException, shared_memory

from tests.process.waiting import DEADLINE_S
from tests.support.stock import MODULES, Address, Stock, public_methods, stock

ROW = np.array([[1, 2]], np.float32)
ONES = np.ones(2, np.float32)
SOME_BYTES = 64

Case = Callable[[Stock], Awaitable[None]]
CASES: dict[str, Case] = {}

ASKED = [(kind, method) for kind in MODULES for method in public_methods(kind)]


@pytest.mark.parametrize(("kind", "method"), ASKED)
def test_every_method(address: Address, kind: str, method: str) -> None:
    async def scenario() -> None:
        async with stock(kind, address) as client:
            await CASES[method](client)
            assert method in client.called

    assert method in CASES, "a client can do something that nobody has tried"
    asyncio.run(scenario())


def case(*methods: str) -> Callable[[Case], Case]:
    """What tries these methods."""

    def note(tried: Case) -> Case:
        CASES.update(dict.fromkeys(methods, tried))
        return tried

    return note


# -- the server and its models ----------------------------------------------------------------------------------------


@case("is_server_live", "is_server_ready")
async def _health(client: Stock) -> None:
    assert await client.do("is_server_live") is True
    assert await client.do("is_server_ready") is True


@case("is_model_ready")
async def _model_health(client: Stock) -> None:
    assert await client.do("is_model_ready", "identity") is True
    assert await client.do("is_model_ready", "identity", "1") is True
    if client.is_http:
        assert await client.do("is_model_ready", "nobody") is False
    else:
        with pytest.raises(InferenceServerException, match="nobody"):
            await client.do("is_model_ready", "nobody")


@case("get_server_metadata")
async def _server_metadata(client: Stock) -> None:
    told = await client.tell("get_server_metadata")
    assert told["name"] == "triton"
    assert {"model_repository", "system_shared_memory", "statistics"} <= set(told["extensions"])


@case("get_model_metadata")
async def _model_metadata(client: Stock) -> None:
    told = await client.tell("get_model_metadata", "identity", "1")
    assert (told["name"], told["versions"], told["platform"]) == ("identity", ["1"], "python")
    assert told["inputs"][0]["datatype"] == "FP32"
    assert [int(length) for length in told["inputs"][0]["shape"]] == [-1, -1]


@case("get_model_config")
async def _model_config(client: Stock) -> None:
    told = await client.tell("get_model_config", "identity")
    assert (told["name"], told["max_batch_size"], told["backend"]) == ("identity", 8, "python")
    assert told["input"][0]["data_type"] == "TYPE_FP32"


@case("get_model_repository_index")
async def _index(client: Stock) -> None:
    told = await client.tell("get_model_repository_index")
    assert told["identity"] == {"name": "identity", "version": "1", "state": "READY"}


@case("load_model", "unload_model")
async def _loading(client: Stock) -> None:
    await client.do("load_model", "changing")
    assert (await client.infer("changing", {"INPUT0": ONES})).as_numpy("OUTPUT0")[0] == 2
    config = await client.tell("get_model_config", "changing")
    told = json.dumps({**config, "parameters": {"mood": {"string_value": "good"}}})
    await client.do("load_model", "changing", config=told)
    assert (await client.tell("get_model_config", "changing"))["parameters"] == {"mood": {"string_value": "good"}}
    code = (client.address.repository / "changing" / "1" / "model.py").read_text().replace("values + 1", "values + 70")
    await client.do("load_model", "changing", config=told, files={"file:5/model.py": code.encode()})
    answer = await client.infer("changing", {"INPUT0": ONES}, model_version="5")
    assert answer.as_numpy("OUTPUT0")[0] == 71
    await client.do("unload_model", "changing", unload_dependents=True)
    with pytest.raises(InferenceServerException, match="changing"):
        await client.infer("changing", {"INPUT0": ONES})


@case("get_inference_statistics")
async def _statistics(client: Stock) -> None:
    async def count(*name: str) -> int:
        rows = (await client.tell("get_inference_statistics", *name))["model_stats"]
        return next(int(row["inference_count"]) for row in rows if row["name"] == "identity")

    await client.infer("identity", {"INPUT0": ROW})
    before = await count("identity", "1")
    await client.infer("identity", {"INPUT0": ROW})
    assert await count() == before + 1


@case("get_trace_settings", "update_trace_settings")
async def _trace_settings(client: Stock) -> None:
    everywhere = await client.tell("get_trace_settings")

    async def settings(**update: Any) -> dict[str, Any]:
        told: dict[str, Any] = await client.tell("update_trace_settings", model_name="identity", settings=update)
        assert told == await client.tell("get_trace_settings", model_name="identity")
        return told

    told = await settings(trace_level=["TIMESTAMPS", "TENSORS"], trace_rate="7", trace_count="3")
    assert told["trace_level"] == ["TIMESTAMPS", "TENSORS"]
    assert told["trace_rate"] in ("7", ["7"])
    assert await client.tell("get_trace_settings") == everywhere
    assert await settings(trace_level=None, trace_rate=None, trace_count=None) == everywhere


@case("get_log_settings", "update_log_settings")
async def _log_settings(client: Stock) -> None:
    told = await client.tell("update_log_settings", {"log_verbose_level": 1, "log_warning": False})
    assert (told["log_verbose_level"], told.get("log_warning", False)) == (1, False)
    assert await client.tell("get_log_settings") == told
    told = await client.tell("update_log_settings", {"log_verbose_level": 0, "log_warning": True})
    assert told["log_warning"] is True
    assert int(told.get("log_verbose_level", 0)) == 0


# -- memory -----------------------------------------------------------------------------------------------------------


@case("register_system_shared_memory", "get_system_shared_memory_status", "unregister_system_shared_memory")
async def _system_memory(client: Stock) -> None:
    memory = shared_memory.create_shared_memory_region("ours", "/pyserve_every_method", SOME_BYTES, create_only=True)
    try:
        for name in ("first", "second"):
            await client.do("register_system_shared_memory", name, "/pyserve_every_method", 32, offset=32)
        told = await client.tell("get_system_shared_memory_status")
        assert {name: int(told[name]["offset"]) for name in told} == {"first": 32, "second": 32}
        assert list(await client.tell("get_system_shared_memory_status", "first")) == ["first"]
        with pytest.raises(InferenceServerException, match="already in manager"):
            await client.do("register_system_shared_memory", "first", "/pyserve_every_method", 32)
        await client.do("unregister_system_shared_memory", "first")
        assert list(await client.tell("get_system_shared_memory_status")) == ["second"]
        await client.do("unregister_system_shared_memory")
        assert not await client.tell("get_system_shared_memory_status")
    finally:
        await client.do("unregister_system_shared_memory")
        shared_memory.destroy_shared_memory_region(memory)


@case("register_cuda_shared_memory", "get_cuda_shared_memory_status", "unregister_cuda_shared_memory")
async def _cuda_memory(client: Stock) -> None:
    """Without a device nothing can be registered; what happens with one is tried where there is one."""
    handle = base64.b64encode(bytes(64))
    with pytest.raises(InferenceServerException, match="shared memory"):
        await client.do("register_cuda_shared_memory", "region", handle, 0, SOME_BYTES)
    assert not await client.tell("get_cuda_shared_memory_status")
    await client.do("unregister_cuda_shared_memory", "region")
    await client.do("unregister_cuda_shared_memory")


# -- inference --------------------------------------------------------------------------------------------------------


@case("infer")
async def _infer(client: Stock) -> None:
    result = await client.infer("pair", {"A": ROW, "B": ROW * 10}, request_id="me", outputs=[client.wanted("SUM")])
    np.testing.assert_array_equal(result.as_numpy("SUM"), ROW * 11)
    assert result.as_numpy("DIFFERENCE") is None
    assert result.get_output("DIFFERENCE") is None
    response = result.get_response() if client.is_http else result.get_response(as_json=True)
    assert (response["id"], response["model_name"], response["model_version"]) == ("me", "pair", "1")
    output = result.get_output("SUM")
    found = (output["datatype"], output["shape"]) if client.is_http else (output.datatype, list(output.shape))
    assert found == ("FP32", [1, 2])


@case("generate_request_body", "parse_response_body")
async def _bodies(client: Stock) -> None:
    """The two halves of an inference, whoever carries the bytes."""
    given = [client.tensor("A", ROW), client.tensor("B", ROW)]
    body, length = await client.do("generate_request_body", given, request_id="me")
    headers = {"Inference-Header-Content-Length": str(length), "Accept-Encoding": "gzip"}
    answer = client.address.plain.send("POST", "/v2/models/pair/infer", body, headers)
    result = await client.do(
        "parse_response_body",
        answer.body,
        header_length=int(answer.headers["inference-header-content-length"]),
        content_encoding=answer.headers["content-encoding"],
    )
    assert result.get_response()["id"] == "me"
    np.testing.assert_array_equal(result.as_numpy("SUM"), ROW * 2)


@case("async_infer")
async def _async_infer(client: Stock) -> None:
    arrays = [np.full((1, 4), number, np.float32) for number in range(20)]
    if client.is_http:  # one connection, which an answer holds until all of it is there or somebody reads it
        waiting = [await client.do("async_infer", "identity", [client.tensor("INPUT0", each)]) for each in arrays]
        found = {index: each.get_result(timeout=DEADLINE_S) for index, each in enumerate(waiting)}
    else:
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        for index, each in enumerate(arrays):
            await client.do(
                "async_infer",
                "identity",
                [client.tensor("INPUT0", each)],
                lambda result, error: answers.put((result, error)),
                request_id=str(index),
            )
        results = [answers.get(timeout=DEADLINE_S) for _ in arrays]
        assert {error for _, error in results} == {None}
        found = {int(result.get_response().id): result for result, _ in results}
    for index, each in enumerate(arrays):
        np.testing.assert_array_equal(found[index].as_numpy("OUTPUT0"), each)


@case("start_stream", "async_stream_infer", "stop_stream")
async def _stream(client: Stock) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    await client.do("start_stream", lambda result, error: answers.put((result, error)))
    given = [client.tensor("COUNT", np.array([3], np.int32))]
    await client.do("async_stream_infer", "repeat", given, enable_empty_final_response=True)
    results = [answers.get(timeout=DEADLINE_S) for _ in range(4)]
    await client.do("stop_stream")
    assert {error for _, error in results} == {None}
    assert [int(result.as_numpy("OUT")[0]) for result, _ in results[:3]] == [0, 1, 2]
    final = [result.get_response().parameters["triton_final_response"].bool_param for result, _ in results]
    assert final == [False, False, False, True]
    assert answers.empty()


@case("stream_infer")
async def _stream_infer(client: Stock) -> None:
    async def requests() -> Any:
        for count in (2, 0, 1):
            given = [client.tensor("COUNT", np.array([count], np.int32))]
            yield {"model_name": "repeat", "inputs": given, "request_id": str(count)}

    stream = await client.do("stream_infer", requests())
    found = [(result.get_response().id, int(result.as_numpy("OUT")[0])) async for result, error in stream if not error]
    assert found == [("2", 0), ("2", 1), ("1", 0)]


# -- the client itself ------------------------------------------------------------------------------------------------


@case("register_plugin", "plugin", "unregister_plugin")
async def _plugin(client: Stock) -> None:
    """What a plugin puts into the headers reaches the server; behind a token that is how one gets in."""

    class Telling(client.module.InferenceServerClientPlugin):  # type: ignore[misc,name-defined]
        def __call__(self, request: Any) -> None:
            request.headers.update({**client.address.headers, "x-told": "by the plugin"})

    plugin = Telling()
    await client.do("register_plugin", plugin)
    assert await client.do("plugin") is plugin
    asked = {"COMMAND": np.array([b"parameters"], object)}
    result = await client.infer("behave", asked, headers={})
    assert _parameters(result)["x-told"] == "by the plugin"
    await client.do("unregister_plugin")
    result = await client.infer("behave", asked)
    assert "x-told" not in _parameters(result)


def _parameters(result: Any) -> dict[str, Any]:
    """What the model saw; Jupyter's server writes the names of headers in its own way."""
    return {name.lower(): value for name, value in json.loads(result.as_numpy("TEXT")[0]).items()}


@case("close")
async def _close(client: Stock) -> None:
    """The server is there for others after a client has left."""
    await client.infer("identity", {"INPUT0": ROW})
    await client.do("close")
    async with stock(client.kind, client.address) as other:
        assert await other.do("is_server_live")
