from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import sharing
from jupyter_pyserve.notebook.client import Client


class Lane:
    """What the engine was asked, with what the descriptors hold."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.error: PyServeError | None = None

    def ask(self, op: str, fds: Sequence[int] = (), **arguments: Any) -> None:
        if self.error is not None:
            raise self.error
        if fds:
            arguments["data"] = os.pread(fds[0], 1 << 20, 0)
            arguments["seals"] = fcntl.fcntl(fds[0], fcntl.F_GET_SEALS)
        self.asked.append((op, arguments))


class FakeConnection:
    """Two models could not be loaded: one lacked an array."""

    def __init__(self) -> None:
        self.posted: list[str] = []

    def json(self, method: str, path: str, *rest: object, **options: object) -> dict[str, Any]:
        if method == "POST":
            self.posted.append(path)
        reasons = {"m": "LookupError: no shared array 'w'", "other": "ValueError"}
        return {"models": [{"name": key, "state": "UNAVAILABLE", "reason": value} for key, value in reasons.items()]}


class FakeClient:
    def __init__(self, lane: Any) -> None:
        self.lane = lane
        self.connection = FakeConnection()

    def fresh_lane(self) -> object:
        return self.lane


@pytest.fixture(autouse=True)
def _nothing_shared() -> Iterator[None]:
    sharing._shared.clear()
    yield
    sharing._shared.clear()


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.fixture
def client(lane: Lane) -> Client:
    return cast(Client, FakeClient(lane))


def test_the_engine_gets_sealed_memory_that_holds_the_array(client: Client, lane: Lane) -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    view = sharing.share(client, "w", array)
    ((op, asked),) = lane.asked
    assert (op, asked["name"], asked["dtype"], asked["shape"]) == ("share", "w", "<i2", [2, 3])
    assert asked["data"] == array.tobytes()
    assert asked["seals"] & fcntl.F_SEAL_WRITE
    assert view.tolist() == array.tolist()
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_any_layout_becomes_plain(client: Client, lane: Lane) -> None:
    sharing.share(client, "w", np.arange(6, dtype=">f4").reshape(2, 3).T)
    asked = lane.asked[0][1]
    assert (asked["dtype"], asked["shape"]) == ("<f4", [3, 2])
    assert np.frombuffer(asked["data"], "<f4").tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    ("array", "text"), [(["a"], "arrays of <U1 can't be shared"), ([], "is empty"), ([object()], "arrays of object")]
)
def test_what_can_not_be_shared(client: Client, array: list[object], text: str) -> None:
    with pytest.raises(PyServeError, match=text):
        sharing.share(client, "w", array)


def test_values_are_known_by_the_copy_and_by_what_it_was_made_from(client: Client) -> None:
    array = np.array([1.0, np.nan])
    view = sharing.share(client, "w", array)
    assert sharing.name_of(array) == sharing.name_of(view) == "w"
    assert sharing.name_of(array.copy()) is None
    assert sharing.array_of("w") is view
    assert sharing.array_of("x") is None
    array[0] = 2
    with pytest.raises(PyServeError, match="has changed since it was shared"):
        sharing.name_of(array)


def test_the_original_may_go(client: Client) -> None:
    array = np.ones(3)
    view = sharing.share(client, "w", array)
    del array
    gc.collect()
    assert sharing.name_of(None) is None
    assert sharing.name_of(view) == "w"


def test_an_engine_that_was_started_since_gets_it_again(client: Client, lane: Lane) -> None:
    sharing.share(client, "w", [1])
    sharing.offer_again(client)
    assert len(lane.asked) == 1
    successor = FakeClient(Lane())
    sharing.offer_again(cast(Client, successor))
    assert [(op, asked["name"]) for op, asked in successor.lane.asked] == [("share", "w")]
    assert successor.connection.posted == ["/v2/repository/models/m/load"]  # which could not be loaded without it


def test_taking_it_back(client: Client, lane: Lane) -> None:
    sharing.share(client, "w", [1])
    sharing.unshare(client, "w")
    assert lane.asked[-1] == ("unshare", {"name": "w"})
    with pytest.raises(PyServeError, match=r"shares no array 'w' \(it shares: none\)"):
        sharing.unshare(client, "w")
    sharing.share(client, "w", [1])
    lane.error = PyServeError(Code.NOT_FOUND, "of another engine")
    sharing.unshare(client, "w")
    assert sharing.array_of("w") is None


def test_what_the_engine_refuses_is_not_shared(client: Client, lane: Lane) -> None:
    lane.error = PyServeError(Code.ALREADY_EXISTS, "taken")
    with pytest.raises(PyServeError, match="taken"):
        sharing.share(client, "w", [1])
    assert sharing.array_of("w") is None


def test_over_http_nothing_can_be_shared() -> None:
    with pytest.raises(PyServeError, match="on this machine only"):
        sharing.share(cast(Client, FakeClient(object())), "w", [1])
