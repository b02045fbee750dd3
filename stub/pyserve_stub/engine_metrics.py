"""Custom metrics that the engine keeps: the same face as `MetricRegistry`, the numbers beyond the channel.

What may be done is decided here, by the same rules, so that a change of a value is one frame and no wait: a loop may
count. Frames keep their order, so whoever asks for a value or sees an answer finds every change that was made before.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .metrics import DELETED, MetricError, check
from .session import EngineGone, Session
from .wire import frames

_GONE = "the server is gone"


class EngineMetrics:
    """The handles of one stub. Destructors call `close_family` and `close_series`, in any thread at any moment."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: Kinds of the families that are alive, and the family of each series.
        self._kinds: dict[int, int] = {}
        self._family_of: dict[int, int] = {}

    def open_family(self, name: str, description: str, kind: int) -> int:
        """A handle for the family of that name."""
        handle = int(self._ask("open_metric_family", name=name, description=description, kind=kind)["handle"])
        self._kinds[handle] = kind
        return handle

    def close_family(self, handle: int) -> None:
        """Gives a handle back."""
        self._kinds.pop(handle, None)
        self._tell("close_metric_family", handle=handle)

    def open_series(self, handle: int, labels: Mapping[str, object], buckets: Sequence[float] | None) -> int:
        """A handle for the series of those labels."""
        try:
            series = int(self._ask("open_metric", handle=handle, labels=labels, buckets=buckets)["handle"])
        except TypeError:  # a label that JSON has no words for
            raise MetricError("attempt to access JSON non-string as string") from None
        self._family_of[series] = handle
        return series

    def close_series(self, index: int) -> None:
        """Gives a handle back."""
        self._family_of.pop(index, None)
        self._tell("close_metric", handle=index)

    def apply(self, index: int, operation: str, value: float) -> float:
        """Carries out an operation; returns the value if that is what was asked for, else 0."""
        kind = self._kinds.get(self._family_of[index])
        if kind is None:
            raise MetricError(DELETED)
        check(kind, operation, value)
        if operation == "value":
            return float(self._ask("metric", handle=index, operation=operation, value=value)["value"])
        self._tell("metric", handle=index, operation=operation, value=value)
        return 0.0

    def _ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        try:
            reply = self._session.call(op, **arguments)
        except (EngineGone, OSError):
            raise MetricError(_GONE) from None
        if not reply.get("ok"):
            raise MetricError(str(reply.get("error")))
        return reply

    def _tell(self, op: str, **arguments: Any) -> None:
        try:
            self._session.send(frames.encode_cold(frames.NOTE, {"op": op, **arguments}))
        except (EngineGone, OSError):
            pass  # the numbers are gone with the engine
