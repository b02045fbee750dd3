from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from jupyter_pyserve.settings import GrpcSettings
from jupyter_pyserve.transports.grpc import frames
from jupyter_pyserve.transports.grpc.reflection import PATHS, _book, reflect
from tests.unit.transports.grpc.asking import Asker
from tests.unit.transports.grpc.fakes import play
from tests.unit.transports.http.fakes import FakeServable

V1, V1ALPHA = "grpc.reflection.v1", "grpc.reflection.v1alpha"


@pytest.fixture(params=[V1, V1ALPHA])
def package(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def question(package: str, **asked: Any) -> bytes:
    return bytes(_book().message(package, "ServerReflectionRequest")(host="here", **asked).SerializeToString())


def ask(package: str, **asked: Any) -> Any:
    answer = (
        _book().message(package, "ServerReflectionResponse").FromString(reflect(package, question(package, **asked)))
    )
    assert answer.valid_host == "here"
    assert answer.original_request.SerializeToString() == question(package, **asked)
    return answer


def files(answer: Any) -> list[descriptor_pb2.FileDescriptorProto]:
    found = answer.file_descriptor_response.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(item) for item in found]


def test_services(package: str) -> None:
    answer = ask(package, list_services="")
    assert [item.name for item in answer.list_services_response.service] == [
        "grpc.health.v1.Health",
        f"{V1}.ServerReflection",
        f"{V1ALPHA}.ServerReflection",
        "inference.GRPCInferenceService",
    ]


@pytest.mark.parametrize(
    "symbol",
    [
        "inference.GRPCInferenceService",
        "inference.GRPCInferenceService.ModelInfer",
        "inference.ModelInferRequest.InferInputTensor",
    ],
)
def test_a_file_comes_with_what_it_needs(package: str, symbol: str) -> None:
    service, needed = files(ask(package, file_containing_symbol=symbol))
    assert [item.name for item in service.service] == ["GRPCInferenceService"]
    assert list(service.dependency) == [needed.name]
    assert files(ask(package, file_by_filename=needed.name)) == [needed]


@pytest.mark.parametrize(
    "symbol", ["grpc.health.v1.Health.Check", f"{V1}.ServerReflection", f"{V1ALPHA}.ErrorResponse"]
)
def test_services_beside_the_inference_s(package: str, symbol: str) -> None:
    (file,) = files(ask(package, file_containing_symbol=symbol))
    assert symbol.startswith(file.package)


@pytest.mark.parametrize(
    "asked",
    [
        {"file_containing_symbol": "inference.Nothing"},
        {"file_containing_symbol": "google.protobuf.FileDescriptorProto"},
        {"file_by_filename": "nothing.proto"},
        {"file_containing_extension": {"containing_type": "inference.ModelInferRequest", "extension_number": 5}},
        {"all_extension_numbers_of_type": "inference.Nothing"},
        {},
    ],
)
def test_what_is_not_there(package: str, asked: dict[str, Any]) -> None:
    answer = ask(package, **asked)
    assert answer.WhichOneof("message_response") == "error_response"
    assert answer.error_response.error_code == 5


def test_messages_without_extensions(package: str) -> None:
    answer = ask(package, all_extension_numbers_of_type="inference.ModelInferRequest")
    assert answer.all_extension_numbers_response.base_type_name == "inference.ModelInferRequest"
    assert not answer.all_extension_numbers_response.extension_number


@pytest.mark.parametrize("path", list(PATHS))
def test_a_call_with_several_questions(path: str) -> None:
    async def scenario() -> None:
        client = Asker(FakeServable())
        asked = question(PATHS[path], list_services="")
        stream = client.ask(asked, asked, extra=((":path", path),))
        found, trailers = await client.answer(stream)
        assert found == [reflect(PATHS[path], asked)] * 2
        assert trailers == {"grpc-status": "0"}

    play(scenario)


def test_questions_wait_for_a_client_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = []

    def counted(package: str, data: bytes) -> bytes:
        answered.append(data)
        return b"x" * frames.DEFAULT_WINDOW

    monkeypatch.setattr("jupyter_pyserve.transports.grpc.reflection.reflect", counted)

    async def scenario() -> None:
        client = Asker(FakeServable())
        stream = client.ask(*[b"?"] * 100, extra=((":path", next(iter(PATHS))),))
        await client.frames()
        assert len(answered) == 1  # which has not left as a whole
        for number in (0, stream):
            client.feed(frames.window_update(number, 200 * frames.DEFAULT_WINDOW))
        found = await client.frames()
        assert len(answered) == 100
        assert client.fields(found[-1])["grpc-status"] == "0"

    play(scenario)


def test_nonsense_ends_the_call() -> None:
    async def scenario() -> None:
        client = Asker(FakeServable())
        _, trailers = await client.answer(client.ask(b"\xff", extra=((":path", next(iter(PATHS))),)))
        assert trailers["grpc-status"] == "13"

    play(scenario)


@pytest.mark.parametrize(
    ("settings", "token", "status"), [(GrpcSettings(reflection=False), "", "12"), (GrpcSettings(), "s3cret", "16")]
)
def test_not_for_everybody(settings: GrpcSettings, token: str, status: str) -> None:
    async def scenario() -> None:
        client = Asker(FakeServable(), settings=settings, token=token)
        asked = question(V1, list_services="")
        _, trailers = await client.answer(client.ask(asked, extra=((":path", next(iter(PATHS))),)))
        assert trailers["grpc-status"] == status

    play(scenario)
