"""Server reflection, in both its versions: which services there are, and the files that describe them.

The descriptions of the inference service are those of its messages; those of the health service and of reflection
itself are made here, in a pool of their own, since a process may register a message only once.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.transports.grpc.call import Call, Piece, Status

_log = logging.getLogger(__name__)

_VERSIONS: Final = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
_METHOD: Final = "ServerReflectionInfo"
#: Methods that are served, and the package of their messages.
PATHS: Final = {f"/{package}.ServerReflection/{_METHOD}": package for package in _VERSIONS}

_NOT_FOUND: Final = 5

#: Messages by their names: the fields' numbers, types (another message's name has a dot in front, "*" stands for
#: several) and names, and last the group of which a message has one.
_REFLECTION: Final = {
    "ServerReflectionRequest": (
        (1, "string", "host"),
        (3, "string", "file_by_filename", "message_request"),
        (4, "string", "file_containing_symbol", "message_request"),
        (5, ".ExtensionRequest", "file_containing_extension", "message_request"),
        (6, "string", "all_extension_numbers_of_type", "message_request"),
        (7, "string", "list_services", "message_request"),
    ),
    "ExtensionRequest": ((1, "string", "containing_type"), (2, "int32", "extension_number")),
    "ServerReflectionResponse": (
        (1, "string", "valid_host"),
        (2, ".ServerReflectionRequest", "original_request"),
        (4, ".FileDescriptorResponse", "file_descriptor_response", "message_response"),
        (5, ".ExtensionNumberResponse", "all_extension_numbers_response", "message_response"),
        (6, ".ListServiceResponse", "list_services_response", "message_response"),
        (7, ".ErrorResponse", "error_response", "message_response"),
    ),
    "FileDescriptorResponse": ((1, "*bytes", "file_descriptor_proto"),),
    "ExtensionNumberResponse": ((1, "string", "base_type_name"), (2, "*int32", "extension_number")),
    "ListServiceResponse": ((1, "*.ServiceResponse", "service"),),
    "ServiceResponse": ((1, "string", "name"),),
    "ErrorResponse": ((1, "int32", "error_code"), (2, "string", "error_message")),
}
_HEALTH: Final = {
    "HealthCheckRequest": ((1, "string", "service"),),
    "HealthCheckResponse": ((1, "enum.HealthCheckResponse.ServingStatus", "status"),),
}
_STATUSES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


@dataclass(frozen=True, slots=True)
class _Book:
    """All that is described: names of services, files by their names, and who knows in which file a symbol is."""

    services: Sequence[str]
    files: dict[str, Any]
    find: Callable[[str], Any]
    #: The messages of reflection, by package and name.
    message: Callable[[str, str], Any]


class Reflection:
    """Serves one call: an answer to each question. The next one is made when the last has left: it is much larger."""

    __slots__ = ("_call", "_client_done", "_leaving", "_package", "_waiting")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._package = PATHS[call.head.path]
        self._waiting: deque[bytes] = deque()
        self._leaving = False
        self._client_done = False

    def message(self, data: Piece) -> None:
        """A question."""
        self._waiting.append(bytes(data))
        self._go_on()

    def end(self) -> None:
        """No more of them."""
        self._client_done = True
        self._go_on()

    def cancel(self) -> None:
        """Nobody reads answers any more."""
        self._waiting.clear()

    def _go_on(self) -> None:
        while self._waiting and not self._leaving:
            try:
                answer = reflect(self._package, self._waiting.popleft())
            except Exception:  # noqa: BLE001 - the top of a transport; it may be no message at all
                _log.exception("a question about services failed")
                self._call.fail(Status.INTERNAL, "internal error")
                return
            self._leaving = True
            self._call.send([answer], self._left)
        self._call.stalled = self._leaving
        if self._client_done and not self._waiting:
            self._call.finish()

    def _left(self) -> None:
        self._leaving = False
        if self._call.stalled:
            self._go_on()
            self._call.grant()


def reflect(package: str, data: bytes) -> bytes:
    """The answer to a question, both as messages of that version."""
    book = _book()
    asked = book.message(package, "ServerReflectionRequest").FromString(data)
    answer = book.message(package, "ServerReflectionResponse")(valid_host=asked.host, original_request=asked)
    kind = asked.WhichOneof("message_request")
    found: Any = None
    if kind == "list_services":
        for name in book.services:
            answer.list_services_response.service.add(name=name)
        return bytes(answer.SerializeToString())
    if kind == "file_by_filename":
        found = book.files.get(asked.file_by_filename)
    elif kind == "file_containing_symbol":
        found = book.find(asked.file_containing_symbol)
    elif kind == "all_extension_numbers_of_type":
        name = asked.all_extension_numbers_of_type
        if book.find(name) is not None:  # none of these messages has any
            answer.all_extension_numbers_response.base_type_name = name
            return bytes(answer.SerializeToString())
    if found is not None:
        answer.file_descriptor_response.file_descriptor_proto.extend(_with_imports(found))
    else:
        answer.error_response.error_code = _NOT_FOUND
        answer.error_response.error_message = "not found"
    return bytes(answer.SerializeToString())


def _with_imports(file: Any) -> Iterator[bytes]:
    """A file and all that it needs, each once."""
    seen, left = {file.name}, [file]
    while left:
        item = left.pop()
        yield item.serialized_pb
        for needed in item.dependencies:
            if needed.name not in seen:
                seen.add(needed.name)
                left.append(needed)


@functools.cache
def _book() -> _Book:
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    own = [_added(pool, "grpc/health/v1/health.proto", _health_file())]
    own += [
        _added(pool, f"{package.replace('.', '/')}/reflection.proto", _reflection_file(package))
        for package in _VERSIONS
    ]
    inference = service_messages().DESCRIPTOR
    files = {file.name: file for file in (inference, *inference.dependencies, *own)}

    def find(symbol: str) -> Any:
        places = (_file_of(known, symbol) for known in (inference.pool, pool))
        # Others may have registered messages of their own.
        return next((file for file in places if file is not None and file.name in files), None)

    @functools.cache
    def message(package: str, name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))

    services = [service.full_name for file in files.values() for service in file.services_by_name.values()]
    return _Book(sorted(services), files, find, message)


def _file_of(pool: Any, symbol: str) -> Any:
    """Where a symbol is; pools do not look for methods by themselves."""
    with contextlib.suppress(KeyError):
        return pool.FindFileContainingSymbol(symbol)
    with contextlib.suppress(KeyError):
        return pool.FindMethodByName(symbol).containing_service.file
    return None


def _added(pool: Any, name: str, file: Any) -> Any:
    file.name, file.syntax = name, "proto3"
    pool.Add(file)
    return pool.FindFileByName(name)


def _health_file() -> Any:
    file = _file("grpc.health.v1", _HEALTH)
    statuses = file.message_type[1].enum_type.add(name="ServingStatus")
    for number, name in enumerate(_STATUSES):
        statuses.value.add(name=name, number=number)
    service = file.service.add(name="Health")
    for name in ("Check", "Watch"):
        service.method.add(
            name=name,
            input_type=".grpc.health.v1.HealthCheckRequest",
            output_type=".grpc.health.v1.HealthCheckResponse",
            server_streaming=name == "Watch",
        )
    return file


def _reflection_file(package: str) -> Any:
    file = _file(package, _REFLECTION)
    file.service.add(name="ServerReflection").method.add(
        name=_METHOD,
        input_type=f".{package}.ServerReflectionRequest",
        output_type=f".{package}.ServerReflectionResponse",
        client_streaming=True,
        server_streaming=True,
    )
    return file


def _file(package: str, messages: dict[str, Any]) -> Any:
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(package=package)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        groups = list(_unique(itertools.chain.from_iterable(field[3:] for field in fields)))
        for group in groups:
            message.oneof_decl.add(name=group)
        for number, kind, field_name, *group in fields:
            field = message.field.add(name=field_name, number=number)
            _set_type(field, kind, package)
            if group:
                field.oneof_index = groups.index(group[0])
    return file


def _set_type(field: Any, kind: str, package: str) -> None:
    field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
    what, _, name = kind.removeprefix("*").partition(".")
    if name:
        field.type = field.TYPE_ENUM if what else field.TYPE_MESSAGE
        field.type_name = f".{package}.{name}"
    else:
        field.type = getattr(field, f"TYPE_{what.upper()}")


def _unique(names: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(names)
