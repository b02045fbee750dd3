from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyserve_stub.wire import frames

from jupyter_pyserve.engine.peers import shared_arrays
from jupyter_pyserve.engine.peers.shared_arrays import SharedArrays
from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.errors import Code, PyServeError

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def memory(nbytes: int = 24, seals: int = SEALS) -> int:
    fd = os.memfd_create("pyserve-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, nbytes)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def facts(**given: Any) -> dict[str, Any]:
    return {"name": "w", "dtype": "<f8", "shape": [3], **given}


class Version:
    def __init__(self) -> None:
        self.stopping = False


class Engine:
    def __init__(self) -> None:
        self.services = StubServices()
        self.shared = SharedArrays()
        self.shared.serve(self.services)
        self.replies: list[tuple[dict[str, Any], Sequence[int]]] = []

    def stub(self, owner: Version, name: str = "m_0", pid: int = 7) -> Any:
        return cast(Any, SimpleNamespace(owner=owner, model="m", name=name, pid=pid))

    def asks(self, stub: Any, name: str = "w") -> dict[str, Any]:
        def send(data: bytes, fds: Sequence[int]) -> None:
            self.replies.append((frames.decode_cold(data), tuple(fds)))

        self.services.call(StubCall(stub, {"id": 1, "op": "shared", "name": name}, send))
        return self.replies[-1][0]

    @property
    def references(self) -> list[list[str]]:
        return [row["references"] for row in self.shared.rows()]


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.shared.close()


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_stub_gets_the_memory_that_a_kernel_has_shared(engine: Engine) -> None:
    fd = memory()
    engine.shared.share("lane", "kernel 1", facts(), fd)
    reply = engine.asks(engine.stub(Version()))
    assert reply["shared"] == {"dtype": "<f8", "shape": [3], "nbytes": 24}
    assert engine.replies[-1][1] == (fd,)
    assert engine.shared.rows() == [
        {"name": "w", "dtype": "<f8", "shape": [3], "nbytes": 24, "references": ["kernel 1", "m/m_0"]}
    ]


def test_it_stays_as_long_as_a_kernel_or_a_model_refers_to_it(engine: Engine) -> None:
    fd, version = memory(), Version()
    engine.shared.share("lane", "kernel 1", facts(), fd)
    engine.asks(engine.stub(version))
    engine.shared.kernel_ended("lane")
    assert engine.references == [["m/m_0"]]
    engine.services.ended(engine.stub(version))  # it crashed: its successor will ask again
    assert engine.references == [[]]
    engine.asks(engine.stub(version))
    version.stopping = True
    engine.services.ended(engine.stub(version))
    assert engine.references == []
    assert not is_open(fd)


def test_an_instance_that_is_renewed_refers_to_it_still(engine: Engine) -> None:
    engine.shared.share("lane", "kernel 1", facts(), memory())
    version = Version()
    engine.asks(engine.stub(version, pid=7))
    engine.asks(engine.stub(version, pid=8))  # its successor is there before it goes
    assert engine.references == [["kernel 1", "m/m_0"]]
    engine.services.ended(engine.stub(version, pid=7))
    assert engine.references == [["kernel 1", "m/m_0"]]
    engine.services.ended(engine.stub(version, pid=8))
    assert engine.references == [["kernel 1"]]


def test_a_kernel_that_takes_it_back_leaves_it_to_the_models(engine: Engine) -> None:
    fd = memory()
    engine.shared.share("lane", "kernel 1", facts(), fd)
    with pytest.raises(PyServeError, match=r"^this kernel shares no array 'w'$"):
        engine.shared.unshare("another lane", "w")
    engine.shared.unshare("lane", "w")
    assert engine.references == []
    assert not is_open(fd)


def test_the_same_name_again_is_a_new_generation_for_those_who_ask_from_then_on(engine: Engine) -> None:
    version, (old, new) = Version(), (memory(), memory(48))
    engine.shared.share("lane", "kernel 1", facts(), old)
    engine.asks(engine.stub(version))
    engine.shared.share("lane", "kernel 1", facts(shape=[6]), new)
    assert not is_open(old)
    assert engine.references == [["kernel 1"], ["m/m_0"]]
    engine.asks(engine.stub(Version(), "m_1"))
    assert engine.replies[-1][1] == (new,)
    engine.services.ended(engine.stub(version))
    assert engine.references == [["kernel 1", "m/m_1"]]


def test_the_name_of_another_kernels_array_is_taken(engine: Engine) -> None:
    engine.shared.share("lane", "kernel 1", facts(), memory())
    fd = memory()
    with pytest.raises(PyServeError, match="'w' is that of kernel 1") as caught:
        engine.shared.share("another lane", "kernel 2", facts(), fd)
    assert caught.value.code is Code.ALREADY_EXISTS
    assert not is_open(fd)
    engine.shared.share("another lane", "kernel 1", facts(), memory())  # the same kernel, which has opened a new lane
    engine.shared.kernel_ended("another lane")
    engine.shared.share("third lane", "kernel 2", facts(), memory())


def test_a_stub_that_asks_for_what_is_not_there_is_told_what_is(engine: Engine) -> None:
    engine.shared.share("lane", "kernel 1", facts(), memory())
    reply = engine.asks(engine.stub(Version()), "x")
    assert (reply["ok"], reply["error"]) == (False, "no kernel shares an array 'x' (shared are: w)")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "../w"}, "can't be the name"),
        ({"name": ""}, "can't be the name"),
        ({"name": 3}, "can't be the name"),
        ({"dtype": "|O"}, "arrays of type"),
        ({"dtype": ">f8"}, "arrays of type"),
        ({"dtype": None}, "arrays of type"),
        ({"shape": [-1]}, "list of sizes"),
        ({"shape": [True]}, "list of sizes"),
        ({"shape": [1] * 33}, "list of sizes"),
        ({"shape": "3"}, "list of sizes"),
        ({"shape": [4]}, "needs as much memory, not 24"),
        ({"shape": [1 << 40, 1 << 40]}, "needs as much memory, not 24"),
    ],
)
def test_what_is_no_array_is_refused(engine: Engine, given: dict[str, Any], text: str) -> None:
    fd = memory()
    with pytest.raises(PyServeError, match=text):
        engine.shared.share("lane", "kernel 1", facts(**given), fd)
    assert not is_open(fd)
    assert engine.references == []


@pytest.mark.parametrize("seals", [0, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW, fcntl.F_SEAL_WRITE])
def test_memory_that_could_change_is_refused(engine: Engine, seals: int) -> None:
    with pytest.raises(PyServeError, match="must be sealed"):
        engine.shared.share("lane", "kernel 1", facts(), memory(seals=seals))


def test_a_file_is_refused(engine: Engine) -> None:
    with pytest.raises(PyServeError, match="must be sealed"):
        engine.shared.share("lane", "kernel 1", facts(), os.open("/dev/zero", os.O_RDONLY))


def test_there_is_an_end_to_how_many_there_are(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_arrays, "_MOST", 1)
    engine.shared.share("lane", "kernel 1", facts(), memory())
    fd = memory()
    with pytest.raises(PyServeError, match=r"^there are 1 shared arrays already$") as caught:
        engine.shared.share("lane", "kernel 1", facts(name="x"), fd)
    assert caught.value.code is Code.UNAVAILABLE
    assert not is_open(fd)
    engine.shared.share("lane", "kernel 1", facts(), memory())
