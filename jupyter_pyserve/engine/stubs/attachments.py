"""Memory that one stub was handed: each segment once, and taken back when nothing will refer to it any more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_pyserve.engine.memory.arena import Segment

_log = logging.getLogger(__name__)

Note = Callable[[dict[str, Any], Sequence[int]], None]


class Attachments:
    """What a stub has beside the memory that it answers in; `note` sends it a note with descriptors."""

    __slots__ = ("_known", "_note")

    def __init__(self, note: Note) -> None:
        self._known: dict[int, Segment] = {}
        self._note = note

    def add(self, segment: Segment) -> None:
        """Hand a segment over, before anything refers to it; not one that is gone."""
        if segment.id in self._known or segment.closed:
            return
        self.sweep()
        try:
            segment.show(self._note)
        except OSError as error:  # the request that refers to it fails, and no other
            _log.error("memory cannot be handed over: %s", error)
            return
        self._known[segment.id] = segment

    def sweep(self) -> None:
        """Take back what its maker has dropped since."""
        self.drop([known.id for known in self._known.values() if known.closed])

    def drop(self, segment_ids: Sequence[int]) -> None:
        """Take back those that were handed over."""
        known = [item for item in segment_ids if self._known.pop(item, None) is not None]
        if known:
            self._note({"dropped": known}, ())
