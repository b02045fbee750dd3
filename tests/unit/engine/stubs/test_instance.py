"""The instance at work is tried with processes; here is what they do not show."""

from __future__ import annotations

import asyncio
import socket
from unittest.mock import MagicMock

from pyserve_stub.packets import send_packet

from jupyter_pyserve.engine.stubs.instance import Instance


def test_with_its_channel_its_other_socket_is_closed() -> None:
    instance = MagicMock()
    instance._answers.abandon.return_value = ([], [], [])
    Instance._on_close(instance)
    instance.readiness.close.assert_called_once_with()


def test_the_end_of_its_process_is_that_of_its_channel() -> None:
    # Whatever the loop has told of it: an instance of which nothing is expected is not read to the end.
    async def scenario() -> None:
        instance = MagicMock(_held=())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        Instance._open_channel(instance, ours)
        for _ in range(2):
            send_packet(theirs, b"x")
        theirs.close()
        instance.process.on_exit()
        assert instance._on_frame.call_count == 2
        instance._on_close.assert_called_once_with()

    asyncio.run(scenario())
