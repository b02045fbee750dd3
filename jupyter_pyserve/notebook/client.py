"""Calling models from a notebook: `model("name")(INPUT0=x)["OUTPUT0"]`, over the lane where there is one, else HTTP.

Owns which way a call takes and when a model's metadata is read again; knows no magics and draws nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import own_engine, sharing
from jupyter_pyserve.notebook.address import Address, find_engine
from jupyter_pyserve.notebook.arrays import Array, DTypeLike, dtype_of
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.notebook.http_lane import HttpLane
from jupyter_pyserve.notebook.remote_model import Model
from jupyter_pyserve.v2.request_options import PLAIN, RequestOptions


class Responses(Protocol):
    """What a model answers any number of times: for loops, and for `async for`."""

    def __iter__(self) -> Iterator[dict[str, Array]]: ...

    def __next__(self) -> dict[str, Array]: ...

    def __aiter__(self) -> AsyncIterator[dict[str, Array]]: ...

    async def __anext__(self) -> dict[str, Array]: ...

    def close(self) -> None: ...


class InferenceLane(Protocol):
    """The calls that the shared-memory lane and HTTP have in common."""

    def infer(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> dict[str, Array]: ...

    def infer_async(
        self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN
    ) -> Awaitable[dict[str, Array]]: ...

    def stream(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> Responses: ...

    def empty(self, shape: int | Sequence[int], dtype: DTypeLike) -> Array: ...

    def asarray(self, a: Array) -> Array: ...

    def close(self) -> None: ...


class _Answers:
    """Those of a lane; a lane that fails fails here as it does in a call."""

    def __init__(self, responses: Responses, failure: Callable[[OSError], PyServeError]) -> None:
        self._responses = responses
        self._failure = failure

    def __iter__(self) -> _Answers:
        return self

    def __next__(self) -> dict[str, Array]:
        try:
            return next(self._responses)
        except OSError as error:
            raise self._failure(error) from error

    def __aiter__(self) -> _Answers:
        return self

    async def __anext__(self) -> dict[str, Array]:
        try:
            return await anext(self._responses)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Want no more of them."""
        self._responses.close()

    def __enter__(self) -> _Answers:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Client:
    """One engine, as this process reaches it. Safe to use from several threads."""

    _lane: InferenceLane | None = None

    def __init__(self, address: Address) -> None:
        self.address = address
        #: Whether the engine is this kernel's own, and may be started again.
        self.is_own = own_engine.is_at(address)
        self._begin()
        _clients.add(self)

    def _begin(self) -> None:
        """With no connection yet; in a forked child once more, for those that there are are its parent's."""
        if self._lane is not None:
            self._lane.close()
        self.connection = Connection(self.address)
        self._lane = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<pyserve client of {self.address}>"

    def model(self, name: str, version: str | int | None = None) -> Model:
        """A callable for one model; without a version, whatever version is newest at each call."""
        return Model(self, name, "" if version is None else str(version))

    @property
    def lane(self) -> InferenceLane:
        """The lane, opened at first use."""
        with self._lock:
            return self._lane or self._open_lane()

    def fresh_lane(self) -> InferenceLane:
        """The lane to the engine that runs now: one whose engine has gone is given up first."""
        lane = self.lane
        if getattr(lane, "ended", False):
            self._forget(lane)
        return self.lane

    def revived(self) -> Client:
        """Itself; a kernel's own engine that has died is started again."""
        if self.is_own and own_engine.is_wanted():
            own_engine.ensure()
        return self

    def empty(self, shape: int | Sequence[int], dtype: DTypeLike = "FP32") -> Array:
        """An uninitialised array that travels to a model without a copy."""
        return self.lane.empty(shape, dtype_of(dtype))

    def asarray(self, a: object, dtype: DTypeLike | None = None) -> Array:
        """`a` in memory from which it travels to a model without a copy: itself if it is there already."""
        import numpy as np

        return self.lane.asarray(np.asarray(a, None if dtype is None else dtype_of(dtype)))

    def infer(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> dict[str, Array]:
        lane = self.lane
        try:
            try:
                return lane.infer(model, inputs, options)
            except BrokenPipeError as error:  # it went away before this request left: its successor may have it
                self._forget(lane)
                lane = self._successor(error)
                return lane.infer(model, inputs, options)
        except OSError as error:
            raise self._failure(lane, model, error) from error

    async def infer_async(
        self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN
    ) -> dict[str, Array]:
        lane = self.lane
        try:
            try:
                return await lane.infer_async(model, inputs, options)
            except BrokenPipeError as error:
                self._forget(lane)
                lane = await asyncio.to_thread(self._successor, error)
                return await lane.infer_async(model, inputs, options)
        except OSError as error:
            raise self._failure(lane, model, error) from error

    def stream(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> Responses:
        lane = self.lane
        try:
            try:
                responses = lane.stream(model, inputs, options)
            except BrokenPipeError as error:
                self._forget(lane)
                lane = self._successor(error)
                responses = lane.stream(model, inputs, options)
        except OSError as error:
            raise self._failure(lane, model, error) from error
        return _Answers(responses, functools.partial(self._failure, lane, model))

    def close(self) -> None:
        """Give everything back; a later call opens it anew."""
        with self._lock:
            lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()
        self.connection.close()

    def _open_lane(self) -> InferenceLane:
        path = self.revived().address.lane_socket
        lane: InferenceLane | None = None
        if path is not None and path.exists():
            try:
                from jupyter_pyserve.transports.lane.client import Lane

                lane = Lane.connect(str(path))
                sharing.greet(self.connection, lane)
            except ImportError:
                pass  # the platform has no lanes
            except OSError:  # refused, or gone at once: HTTP for now, and the next call looks again
                if lane is not None:
                    lane.close()
                return HttpLane(self.connection)
        self._lane = lane or HttpLane(self.connection)
        return self._lane

    def _successor(self, error: OSError) -> InferenceLane:
        """The lane to the engine that was started since; the error again if there is none to be had."""
        lane = self.lane
        if isinstance(lane, HttpLane):
            raise error
        return lane

    def _failure(self, lane: InferenceLane, model: str, error: OSError) -> PyServeError:
        """A lane that timed out is still good; one that broke is forgotten, so that the next call opens another."""
        if isinstance(error, TimeoutError):
            return PyServeError(Code.UNAVAILABLE, f"model '{model}' did not answer in time")
        self._forget(lane)
        return PyServeError(Code.UNAVAILABLE, f"the engine went away during the request: {error}")

    def _forget(self, lane: InferenceLane) -> None:
        with self._lock:
            if self._lane is lane:
                self._lane = None
        with contextlib.suppress(OSError):
            lane.close()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()
_default: Client | None = None
_default_pid = 0


def connect(
    url: str | None = None, token: str | None = None, runtime_dir: str | os.PathLike[str] | None = None
) -> Client:
    """Choose the engine that everything below talks to; without arguments, the one this kernel was started for."""
    return _become_default(Client(find_engine(url=url, token=token, runtime_dir=runtime_dir)))


def default_client(*, may_start: bool = True) -> Client:
    """The engine chosen by `connect`, or the environment's; where there is none, one of this kernel's own is started.

    A forked child gets a client, and sockets, of its own.
    """
    current = _default if _default_pid == os.getpid() else None
    if current is not None and not (may_start and current.is_own):
        return current
    if may_start and (_default is None or _default.is_own) and own_engine.is_wanted():
        address = own_engine.ensure()
        if current is None or current.address != address:
            current = _become_default(Client(address))
            sharing.offer_again(current)
        return current
    return _become_default(Client(find_engine() if _default is None else _default.address))


def _become_default(client: Client) -> Client:
    global _default, _default_pid
    _default, _default_pid = client, os.getpid()
    return client


def _after_fork() -> None:
    sharing.forget()
    for client in list(_clients):
        client._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def empty(shape: int | Sequence[int], dtype: DTypeLike = "FP32") -> Array:
    """An uninitialised array in memory shared with the engine: no copy is made when it is an input."""
    return default_client().empty(shape, dtype)


def asarray(a: object, dtype: DTypeLike | None = None) -> Array:
    """`a` in memory shared with the engine: one copy now, none when it is an input."""
    return default_client().asarray(a, dtype)
