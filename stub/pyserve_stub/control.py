"""Model control from inside a model: questions to the engine about other models; files go through shared memory."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from .session import ArenaFull, EngineGone, Session
from .wire.frames import PlainDescriptor

_GONE = "the server is gone"


class Refused(Exception):
    """The server said no; the text is its own."""


class ModelControl:
    """What one stub asks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def load(self, name: str, config: str, files: dict[str, bytes] | None) -> None:
        """Load a model, perhaps with a configuration and files in place of the repository's; returns when it serves."""
        places: dict[str, PlainDescriptor] = {}
        try:
            for path, content in (files or {}).items():
                places[path] = self._place(content)
        except ArenaFull as full:
            self._session.free([place[3] for place in places.values() if place[3]])
            raise Refused(str(full)) from None
        self._ask("load_model", name=name, config=config, files=places)

    def unload(self, name: str, unload_dependents: bool) -> None:
        """Begin to unload a model."""
        self._ask("unload_model", name=name, unload_dependents=unload_dependents)

    def is_ready(self, name: str, version: str) -> bool:
        """Whether a model, or one version of it, is ready."""
        return bool(self._ask("is_model_ready", name=name, version=version).get("ready"))

    def shared_array(self, name: str) -> np.ndarray[Any, Any]:
        """An array over memory that a kernel has written and nobody can change."""
        reply = self._ask("shared", name=name)
        if "fds" not in reply:
            raise Refused(f"no file descriptor is left for the shared array '{name}'")
        (fd,) = reply["fds"]
        facts = reply["shared"]
        try:
            mapping = mmap.mmap(fd, facts["nbytes"], access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        return np.frombuffer(mapping, dtype=facts["dtype"]).reshape(facts["shape"])

    def _place(self, content: bytes) -> PlainDescriptor:
        if not content:
            return (0, 0, 0, 0)
        block, segment, offset, _ = self._session.allocate(len(content))
        self._session.segments.get(segment).view[offset : offset + len(content)] = content
        return (segment, offset, len(content), block)

    def _ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        try:
            reply = self._session.call(op, **arguments)
        except (EngineGone, OSError):
            raise Refused(_GONE) from None
        if not reply.get("ok"):
            raise Refused(str(reply.get("error")))
        return reply
