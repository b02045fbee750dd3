from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest
from pyserve_stub import packets
from pyserve_stub.packets import receive_packet, send_packet


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def test_large_frames_travel_whole(ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "_MAX_SPILL_NBYTES", 100_000)
    whole = os.urandom(100_000)
    send_packet(ends[0], whole)
    assert receive_packet(ends[1]) == (whole, [])


def test_a_frame_that_would_not_be_read_whole_is_not_sent(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "_MAX_SPILL_NBYTES", 100_000)
    with pytest.raises(OSError, match="a frame of 100001 bytes is larger than the 100000 that may be sent") as error:
        send_packet(ends[0], bytes(100_001))
    assert error.value.errno == errno.EMSGSIZE
    send_packet(ends[0], b"next")
    assert receive_packet(ends[1])[0] == b"next"
