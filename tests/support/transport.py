"""What the contract suite asks of every way to the server, and what it gets back whichever way that was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Json: TypeAlias = Any


class Refused(Exception):
    """The server answered with an error; `status` is the HTTP status, or what it would be."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One inference."""

    model: str
    inputs: Mapping[str, Array]
    version: str = ""
    outputs: Sequence[str] = ()
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Inference(Protocol):
    """A way to run models; outputs by name, errors raised as `Refused`."""

    def infer(self, request: Request) -> dict[str, Array]: ...

    def infer_together(self, requests: Sequence[Request]) -> list[dict[str, Array]]:
        """All at the same time; the answers in the order of the requests."""


class Transport(Inference, Protocol):
    """A way to everything the protocol has."""

    def is_live(self) -> bool: ...

    def is_ready(self) -> bool: ...

    def is_model_ready(self, model: str, version: str = "") -> bool: ...

    def server_metadata(self) -> Json: ...

    def metadata(self, model: str, version: str = "") -> Json: ...

    def config(self, model: str, version: str = "") -> Json: ...

    def statistics(self, model: str = "", version: str = "") -> Json:
        """The entries of `model_stats`."""

    def index(self) -> list[dict[str, str]]: ...

    def load(self, model: str, *, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        """`files` by their path inside the model's directory."""

    def unload(self, model: str) -> None: ...
