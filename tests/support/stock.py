"""The four stock clients, each called by the names of its methods, and two running servers that they are pointed at."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.plain import Plain
from tests.support.transport import Array

#: The client's module, by kind.
MODULES = {
    "http": "tritonclient.http",
    "http_aio": "tritonclient.http.aio",
    "grpc": "tritonclient.grpc",
    "grpc_aio": "tritonclient.grpc.aio",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is, and what it has to be shown; `url` of HTTP has no scheme and may have a path."""

    http: str
    grpc: str
    headers: Mapping[str, str]
    plain: Plain
    repository: Path


class Stock:
    """One unmodified client; what it was asked to do is remembered."""

    def __init__(self, kind: str, address: Address, **options: Any) -> None:
        self.kind = kind
        self.address = address
        self.module = importlib.import_module(MODULES[kind])
        #: What values the client is given are made with.
        self.values = importlib.import_module(MODULES[kind].removesuffix(".aio"))
        self.is_http = kind.startswith("http")
        self.called: set[str] = set()
        self.raw = self.module.InferenceServerClient(address.http if self.is_http else address.grpc, **options)

    async def do(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method, with the server's headers where it takes headers, and await it where it is a coroutine."""
        self.called.add(method)
        bound = getattr(self.raw, method)
        if callable(bound) and "headers" in inspect.signature(bound).parameters:
            options = {"headers": dict(self.address.headers), **options}
        answer = bound(*arguments, **options)
        return await answer if inspect.iscoroutine(answer) else answer

    async def tell(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What a method answers as a tree; messages of gRPC become what HTTP says, as far as they are alike."""
        if self.is_http:
            return _by_name(await self.do(method, *arguments, **options))
        return _plain(await self.do(method, *arguments, as_json=True, **options))

    def tensor(self, name: str, array: Array, datatype: str = "", **options: Any) -> Any:
        """An input; `options` are those of setting its data."""
        from tritonclient.utils import np_to_triton_dtype

        made = self.values.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
        made.set_data_from_numpy(array, **options)
        return made

    def wanted(self, name: str, **options: Any) -> Any:
        """An output that is asked for."""
        return self.values.InferRequestedOutput(name, **options)

    async def infer(self, model: str, inputs: Mapping[str, Array], **options: Any) -> Any:
        """An inference with inputs made the usual way."""
        return await self.do("infer", model, [self.tensor(name, array) for name, array in inputs.items()], **options)


@asynccontextmanager
async def stock(kind: str, address: Address, **options: Any) -> AsyncIterator[Stock]:
    """A client that is closed afterwards."""
    client = Stock(kind, address, **options)
    try:
        yield client
    finally:
        closing = client.raw.close()
        if inspect.iscoroutine(closing):
            await closing


def public_methods(kind: str) -> list[str]:
    """All that a user may call of a client."""
    found = importlib.import_module(MODULES[kind]).InferenceServerClient
    return [name for name, _ in inspect.getmembers(found, callable) if not name.startswith("_")]


def _by_name(answer: Any) -> Any:
    return {row["name"]: row for row in answer} if isinstance(answer, list) else answer


def _plain(answer: dict[str, Any]) -> Any:
    if "settings" in answer:
        return {name: next(iter(value.values())) for name, value in answer["settings"].items()}
    if "models" in answer:
        return _by_name(answer["models"])
    return answer.get("regions", answer.get("config", answer))
