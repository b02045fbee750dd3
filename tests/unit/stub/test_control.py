from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pyserve_stub.control import ModelControl, Refused
from pyserve_stub.wire import frames

from tests.unit.stub.peer import Peer, started


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def asked(peer: Peer, reply: dict[str, Any]) -> dict[str, Any]:
    """The next call, which is answered like this."""
    call = frames.decode_cold(peer.next())
    peer.tell(frames.REPLY, {"id": call.pop("id"), **reply})
    return call


def test_files_go_through_shared_memory(peer: Peer) -> None:
    arena = peer.give(1 << 16, arena="responses")
    control = ModelControl(peer.session)
    files = {"file:1/model.py": b"pass", "file:1/empty": b""}
    thread, results = started(lambda: control.load("m", "{}", files))
    call = asked(peer, {"ok": True})
    thread.join()
    assert results == [None]
    places = call.pop("files")
    assert call == {"op": "load_model", "name": "m", "config": "{}"}
    assert peer.bytes_at(places["file:1/model.py"]) == b"pass"
    assert places["file:1/model.py"][0] == arena
    assert places["file:1/empty"] == [0, 0, 0, 0]


def test_questions(peer: Peer) -> None:
    control = ModelControl(peer.session)
    thread, _ = started(lambda: control.unload("m", True))
    assert asked(peer, {"ok": True}) == {"op": "unload_model", "name": "m", "unload_dependents": True}
    thread.join()
    for ready in (True, False):
        thread, results = started(lambda: control.is_ready("m", "3"))
        assert asked(peer, {"ok": True, "ready": ready}) == {"op": "is_model_ready", "name": "m", "version": "3"}
        thread.join()
        assert results == [ready]


def test_an_array_whose_descriptor_got_lost(peer: Peer) -> None:
    thread, results = started(lambda: ModelControl(peer.session).shared_array("a"))
    asked(peer, {"ok": True, "shared": {"nbytes": 4, "dtype": "<f4", "shape": [1]}})
    thread.join()
    assert str(results[0]) == "no file descriptor is left for the shared array 'a'"


def test_what_the_server_refuses(peer: Peer) -> None:
    thread, results = started(lambda: ModelControl(peer.session).load("m", "", None))
    asked(peer, {"ok": False, "error": "no such model"})
    thread.join()
    assert isinstance(results[0], Refused)
    assert str(results[0]) == "no such model"


def test_files_that_there_is_no_room_for(peer: Peer) -> None:
    thread, results = started(lambda: ModelControl(peer.session).load("m", "{}", {"file:a": b"x"}))
    assert asked(peer, {"ok": False, "error": "full"}) == {"op": "grow", "nbytes": 1}
    thread.join()
    assert isinstance(results[0], Refused)


def test_what_was_placed_before_is_free_again(peer: Peer) -> None:
    peer.give(1 << 16, arena="responses")
    files = {"file:empty": b"", "file:a": b"x" * (1 << 15), "file:b": b"x" * (1 << 16)}
    thread, results = started(lambda: ModelControl(peer.session).load("m", "{}", files))
    assert asked(peer, {"ok": False, "error": "full"})["op"] == "grow"
    thread.join()
    assert isinstance(results[0], Refused)
    assert peer.session.arena_used == 0


def test_the_server_is_gone(peer: Peer) -> None:
    peer.sock.close()
    with pytest.raises(Refused, match="gone"):
        ModelControl(peer.session).unload("m", False)


def test_a_shared_array_is_mapped_and_can_not_be_changed(peer: Peer) -> None:
    data = np.arange(6, dtype="<f4").reshape(2, 3)
    fd = os.memfd_create("pyserve-test", os.MFD_CLOEXEC)
    os.write(fd, data.tobytes())
    thread, results = started(lambda: ModelControl(peer.session).shared_array("w"))
    call = frames.decode_cold(peer.next())
    assert (call["op"], call["name"]) == ("shared", "w")
    facts = {"dtype": "<f4", "shape": [2, 3], "nbytes": 24}
    peer.tell(frames.REPLY, {"id": call["id"], "ok": True, "shared": facts}, (fd,))
    thread.join()
    (array,) = results
    os.pwrite(fd, np.float32(7).tobytes(), 0)
    os.close(fd)
    assert array.tolist() == [[7, 1, 2], [3, 4, 5]]  # it is that memory, not a copy
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1
