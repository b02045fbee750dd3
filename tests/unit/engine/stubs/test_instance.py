"""The instance at work is tried with processes; here is what they do not show."""

from __future__ import annotations

from unittest.mock import MagicMock

from jupyter_pyserve.engine.stubs.instance import Instance


def test_with_its_channel_its_other_socket_is_closed() -> None:
    instance = MagicMock()
    instance._answers.abandon.return_value = ([], [], [])
    Instance._on_close(instance)
    instance.readiness.close.assert_called_once_with()
