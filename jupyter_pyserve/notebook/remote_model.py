"""`Model`: one served model as a Python callable, its metadata, and the shaping of what the user passes as inputs.

Talks through the client it is given; knows nothing of sockets, lanes or displays.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.arrays import Array, as_input
from jupyter_pyserve.notebook.http_lane import model_path
from jupyter_pyserve.v2.request_options import PLAIN, RequestOptions

if TYPE_CHECKING:
    from jupyter_pyserve.notebook.client import Client, Responses


class Model:
    """A model by name: call it with its inputs, get a dict from output name to array."""

    def __init__(self, client: Client, name: str, version: str = "", options: RequestOptions = PLAIN) -> None:
        self._client = client
        self.name = name
        self.version = version
        self._options = dataclasses.replace(options, version=version)
        self._ranks: dict[str, int] = {}
        self._datatypes: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"pyserve.model({self.name!r}{f', {self.version!r}' if self.version else ''})"

    def __call__(self, *args: object, **inputs: object) -> dict[str, Array]:
        """Run it once. Inputs by name; a model with a single input also takes it by position."""
        __tracebackhide__ = True
        try:
            return self._infer(args, inputs)
        except PyServeError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, without the way it came

    async def infer_async(self, *args: object, **inputs: object) -> dict[str, Array]:
        """The same, without holding the event loop while the model works."""
        __tracebackhide__ = True
        try:
            return await self._infer_async(args, inputs)
        except PyServeError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, without the way it came

    def stream(self, *args: object, **inputs: object) -> Responses:
        """Run a model that answers any number of times: its answers as they come, for `for` or `async for`."""
        __tracebackhide__ = True
        try:
            self._datatypes = None  # a stream that is refused can't be begun again unseen, as a call can
            arrays = self._arrays(args, inputs, self._known_datatypes())
            return self._client.stream(self.name, arrays, self._options)
        except PyServeError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, without the way it came

    def _infer(self, args: Sequence[object], inputs: Mapping[str, object]) -> dict[str, Array]:
        datatypes = self._known_datatypes()
        try:
            return self._client.infer(self.name, self._arrays(args, inputs, datatypes), self._options)
        except PyServeError as error:
            renewed = self._renewed(error, datatypes)
            if renewed is None:
                raise
        return self._client.infer(self.name, self._arrays(args, inputs, renewed), self._options)

    async def _infer_async(self, args: Sequence[object], inputs: Mapping[str, object]) -> dict[str, Array]:
        datatypes = self._datatypes
        if datatypes is None:
            datatypes = await asyncio.to_thread(self._known_datatypes)
        try:
            return await self._client.infer_async(self.name, self._arrays(args, inputs, datatypes), self._options)
        except PyServeError as error:
            renewed = await asyncio.to_thread(self._renewed, error, datatypes)
            if renewed is None:
                raise
        return await self._client.infer_async(self.name, self._arrays(args, inputs, renewed), self._options)

    def using(
        self,
        *,
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Model:
        """The same model with request options, apart from the inputs so that no input's name can clash with one."""
        options = RequestOptions(
            outputs=tuple(outputs), parameters=parameters, request_id=request_id, timeout_s=timeout_s
        )
        return Model(self._client, self.name, self.version, options)

    def as_arrays(self, inputs: Mapping[str, object]) -> dict[str, Array]:
        """Inputs by name as the arrays that a request of them would hold."""
        return self._arrays((), inputs, self._known_datatypes())

    @property
    def metadata(self) -> dict[str, Any]:
        """Name, versions, inputs and outputs, as `GET /v2/models/NAME` answers."""
        found: dict[str, Any] = self._client.revived().connection.json("GET", self._path)
        return found

    @property
    def config(self) -> dict[str, Any]:
        """The completed model configuration."""
        found: dict[str, Any] = self._client.revived().connection.json("GET", f"{self._path}/config")
        return found

    @property
    def ready(self) -> bool:
        """Whether it would take a request now."""
        return self._client.revived().connection.request("GET", f"{self._path}/ready", timeout_s=60.0).status == 200

    @property
    def _path(self) -> str:
        return model_path(self.name, self.version)

    def _known_datatypes(self) -> dict[str, str]:
        if self._datatypes is None:
            self._datatypes = self._read_datatypes()
        return self._datatypes

    def _read_datatypes(self) -> dict[str, str]:
        inputs = self.metadata["inputs"]
        self._ranks = {tensor["name"]: len(tensor["shape"]) for tensor in inputs}
        return {tensor["name"]: tensor["datatype"] for tensor in inputs}

    def _renewed(self, error: PyServeError, used: Mapping[str, str]) -> dict[str, str] | None:
        """After a refusal: the datatypes as they are now, if a new version declares others than the request had."""
        if error.code is not Code.INVALID_ARG:
            return None
        self._datatypes = None
        renewed = self._known_datatypes()
        return None if renewed == used else renewed

    def _arrays(
        self, args: Sequence[object], inputs: Mapping[str, object], datatypes: Mapping[str, str]
    ) -> dict[str, Array]:
        named = dict(inputs)
        if args:
            if len(args) > 1 or len(datatypes) != 1 or named:
                wanted = ", ".join(datatypes) or "none"
                raise TypeError(f"model '{self.name}' takes its inputs by name: {wanted}")
            (only,) = datatypes
            named = {only: args[0]}
        arrays = {
            name: as_input(value, datatypes.get(name, ""), where=f"input '{name}' of model '{self.name}'")
            for name, value in named.items()
        }
        for name, value in named.items():
            if isinstance(value, bool | int | float | str | bytes):  # one value, of whatever rank the model calls one
                arrays[name] = arrays[name].reshape((1,) * self._ranks.get(name, 0))
        return arrays

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """In a notebook: what it takes and gives. Never an error: a repr must not fail because a server is away."""
        try:
            found = self.metadata
        except PyServeError as error:
            return {"text/plain": f"{self!r}: {error}"}
        lines = [repr(self)]
        for side in ("inputs", "outputs"):
            lines += [f"  {side[:-1]} {t['name']}: {t['datatype']} {json.dumps(t['shape'])}" for t in found[side]]
        return {"text/plain": "\n".join(lines)}
