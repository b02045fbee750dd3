"""ModelInfer against a model that answers when told."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import GrpcSettings
from jupyter_pyserve.transports.grpc import frames
from jupyter_pyserve.transports.grpc import infer as infer_module
from jupyter_pyserve.transports.grpc.requests import Requests
from jupyter_pyserve.v2.status import GRPC_STATUS
from tests.unit.transports.grpc.asking import INFER, TWO, Asker, asking, fail, messages, respond
from tests.unit.transports.grpc.fakes import play
from tests.unit.transports.http.fakes import FakeServable, signature

PATH = ((":path", INFER),)


def left(servable: FakeServable) -> tuple[int, int]:
    return servable.outstanding, servable.arena.used


def test_a_request_and_its_answer() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        for text in ("", "mine", "mine", "yours"):
            stream = client.ask(asking(text), extra=PATH)
            (job,) = servable.jobs
            servable.jobs.clear()
            assert servable.inputs(job) == [TWO]
            assert job.id == text
            respond(servable, job, parameters=b'{"mood":"good"}')
            answer, trailers = await client.single(stream)
            assert trailers == {"grpc-status": "0"}
            assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", text)
            assert [(item.name, item.datatype, list(item.shape)) for item in answer.outputs] == [("OUT", "FP32", [2])]
            assert list(answer.raw_output_contents) == [TWO]
            assert answer.parameters["mood"].string_param == "good"
        assert left(servable) == (0, 0)

    play(scenario)


def test_equal_requests_share_what_was_worked_out() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        client.ask(asking(), extra=PATH)
        client.ask(asking(raw=bytes(8)), extra=PATH)
        client.ask(asking("mine"), extra=PATH)
        client.ask(asking(raw=bytes(4)), extra=PATH)
        plain, other, named, shorter = servable.jobs
        assert plain.plan is other.plan
        assert named.plan.layout is plain.plan.layout
        assert b'"id":"mine"' in named.plan.meta
        assert b"id" not in plain.plan.meta
        assert shorter.plan is not plain.plan
        assert len(servable.plans) == 2

    play(scenario)


def test_contents_in_typed_fields_are_placed_too() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        made = messages.ModelInferRequest(model_name="m")
        made.inputs.add(name="IN", datatype="FP32", shape=[2]).contents.fp32_contents.extend([0.5, 2])
        client.ask(made.SerializeToString(), extra=PATH)
        assert servable.inputs(servable.jobs[0]) == [TWO]
        assert servable.plans == {}

    play(scenario)


@pytest.mark.parametrize("code", Code)
def test_failures_of_the_model(code: Code) -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        stream = client.ask(asking(), extra=PATH)
        fail(servable.jobs.pop(), code, "it is so")
        answer, trailers = await client.single(stream)
        assert answer is None
        assert (trailers["grpc-status"], trailers["grpc-message"]) == (str(GRPC_STATUS[code]), "it is so")
        assert left(servable) == (0, 0)

    play(scenario)


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (asking(model="n"), "5", "Request for unknown model: 'n' is not found"),
        (b"\xff", "13", "the message cannot be read: it is no ModelInferRequest"),
        (
            asking(raw=b"12345"),
            "3",
            "[request id: <id_unknown>] input byte size mismatch for input 'IN' for model 'm'. Expected 4, got 5",
        ),
    ],
)
def test_refusals(sent: bytes, status: str, text: str) -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        stream = client.ask(sent, extra=PATH)
        _, trailers = await client.single(stream)
        assert (trailers["grpc-status"], trailers["grpc-message"]) == (status, text)
        assert left(servable) == (0, 0)

    play(scenario)


def test_a_model_that_takes_no_more() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        servable.refusal = PyServeError(Code.UNAVAILABLE, "Exceeds maximum queue size")
        client = Asker(servable)
        stream = client.ask(asking(), extra=PATH)
        _, trailers = await client.single(stream)
        assert (trailers["grpc-status"], trailers["grpc-message"]) == ("14", "Exceeds maximum queue size")
        assert left(servable) == (0, 0)

    play(scenario)


def test_decoupled_models_need_a_stream() -> None:
    async def scenario() -> None:
        servable = FakeServable(signature(decoupled=True))
        client = Asker(servable)
        for _ in range(2):
            stream = client.ask(asking(), extra=PATH)
            _, trailers = await client.single(stream)
            assert trailers["grpc-status"] == "12"
            assert trailers["grpc-message"] == "ModelInfer RPC doesn't support models with decoupled transaction policy"

    play(scenario)


def test_a_client_that_goes_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        stream = client.ask(asking(), extra=PATH)
        (job,) = servable.jobs
        client.feed(frames.rst_stream(stream, frames.ErrorCode.CANCEL))
        assert servable.cancelled == [job]
        respond(servable, job)
        assert [frame for frame in await client.frames() if frame.stream == stream] == []
        assert left(servable) == (0, 0)
        assert "Cancellation notification received for ModelInferHandler" in caplog.text

    play(scenario)


def test_a_request_waits_for_memory() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        servable.full = MemoryFull("full", for_good=False)
        client = Asker(servable)
        gone, waiting = (client.ask(asking(), extra=PATH) for _ in range(2))
        client.feed(frames.rst_stream(gone, frames.ErrorCode.CANCEL))
        assert [retry() for retry in servable.hungry] == [True, False]
        servable.full = None
        assert servable.hungry[1]()
        respond(servable, servable.jobs.pop())
        assert (await client.single(waiting))[1] == {"grpc-status": "0"}
        assert left(servable) == (0, 0)

    play(scenario)


def test_a_fault_after_the_wait_for_memory_is_an_answer() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        servable.full = MemoryFull("full", for_good=False)
        client = Asker(servable)
        stream = client.ask(asking(), extra=PATH)
        servable.full = None
        servable.refusal = RuntimeError("unforeseen")
        assert servable.hungry[0]()
        _, trailers = await client.single(stream)
        assert (trailers["grpc-status"], trailers["grpc-message"]) == ("13", "internal error")
        assert left(servable) == (0, 0)

    play(scenario)


def test_memory_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_MEMORY_TIMEOUT_S", 0.0)

    async def scenario() -> None:
        servable = FakeServable()
        servable.full = MemoryFull("full", for_good=False)
        servable.memory_full = lambda nbytes: MemoryFull(f"no {nbytes}", for_good=False)  # type: ignore[attr-defined]
        client = Asker(servable)
        stream = client.ask(asking(), extra=PATH)
        while client.connection.busy:  # noqa: ASYNC110 - a timer of the loop's
            await asyncio.sleep(0)
        _, trailers = await client.single(stream)
        assert (trailers["grpc-status"], trailers["grpc-message"]) == ("14", "no 8")

    play(scenario)


def test_only_the_first_message_counts() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        client.ask(asking(), asking(), extra=PATH)
        assert len(servable.jobs) == 1
        stream = client.ask(extra=PATH)
        assert (await client.single(stream))[1]["grpc-status"] == "13"

    play(scenario)


def test_answers_are_compressed_when_the_server_was_told_to() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable, settings=GrpcSettings(compression="low"))
        await client.frames()
        for accepted, used in (("gzip", "gzip"), ("br", None)):
            client.ask(asking(), extra=(*PATH, ("grpc-accept-encoding", accepted)))
            respond(servable, servable.jobs.pop())
            head, body, _ = await client.frames()
            assert client.fields(head).get("grpc-encoding") == used
            assert body.payload[0] == (used is not None)

    play(scenario)


def test_classes_in_place_of_values() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        made = messages.ModelInferRequest(model_name="m", raw_input_contents=[TWO])
        made.inputs.add(name="IN", datatype="FP32", shape=[2])
        made.outputs.add(name="OUT").parameters["classification"].int64_param = 1
        for text in ("", "mine"):
            made.id = text
            stream = client.ask(bytes(made.SerializeToString()), extra=PATH)
            respond(servable, servable.jobs.pop())
            answer, _ = await client.single(stream)
            assert [(item.name, item.datatype, list(item.shape)) for item in answer.outputs] == [("OUT", "BYTES", [1])]
            assert list(answer.raw_output_contents) == [b"\x0a\0\0\0002.000000:1"]
        assert left(servable) == (0, 0)

    play(scenario)


def test_forwarded_metadata_are_parameters() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable, settings=GrpcSettings(forward_pattern="x-|grpc|path|authorization"), token="t")
        for value in ("a", "b", "a"):
            extra = (*PATH, ("x-foo", value), ("authorization", "token t"))
            client.ask(asking("id"), extra=extra)
            assert servable.jobs.pop().plan.request.parameters == {"x-foo": value}
        assert len(servable.plans) == 2

    play(scenario)


def test_an_answer_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ask: object, response: object) -> NoReturn:
        raise PyServeError(Code.INVALID_ARG, "no classes")

    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        stream = client.ask(asking(), extra=PATH)
        respond(servable, servable.jobs[0])
        _, trailers = await client.single(stream)
        assert (trailers["grpc-status"], trailers["grpc-message"]) == ("3", "no classes")
        assert left(servable) == (0, 0)

    monkeypatch.setattr(infer_module, "answer", refuse)
    play(scenario)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ZeroDivisionError("a secret"), ("13", "internal error")),
        (PyServeError(Code.UNAVAILABLE, "not now"), ("14", "not now")),
    ],
)
def test_a_request_that_cannot_be_taken(
    fault: Exception, told: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> NoReturn:
        raise fault

    async def scenario() -> None:
        client = Asker(FakeServable())
        _, trailers = await client.single(client.ask(asking(), extra=PATH))
        assert (trailers["grpc-status"], trailers["grpc-message"]) == told

    monkeypatch.setattr(Requests, "read", refuse)
    play(scenario)
