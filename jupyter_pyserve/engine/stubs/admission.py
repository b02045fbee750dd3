"""Whether a model version, or one of its instances, takes new requests: drained on demand, and opened again.

What was accepted before is finished either way. Whoever asks at the door is its owner's business, told by `on_change`.
"""

from __future__ import annotations

from collections.abc import Callable

from jupyter_pyserve.model.lifecycle import ADMISSION, AdmissionEvent, AdmissionState, advance


class Admission:
    """The state, and how it changes; `is_empty` says whether everything accepted is finished."""

    def __init__(self, is_empty: Callable[[], bool], on_change: Callable[[bool], None]) -> None:
        self._state = AdmissionState.OPEN
        self._is_empty = is_empty
        self._on_change = on_change

    @property
    def state(self) -> AdmissionState:
        """Where it is now; that everything is finished is noticed by looking."""
        if self._state is AdmissionState.DRAINING and self._is_empty():
            self._advance(AdmissionEvent.EMPTY)
        return self._state

    @property
    def open(self) -> bool:
        """Whether new requests are taken."""
        return self._state is AdmissionState.OPEN

    def drain(self) -> None:
        """Take none any more."""
        self._advance(AdmissionEvent.DRAIN)
        self._on_change(False)

    def resume(self) -> None:
        """Take new ones again."""
        self._advance(AdmissionEvent.RESUME)
        self._on_change(True)

    def _advance(self, event: AdmissionEvent) -> None:
        self._state = advance(ADMISSION, self._state, event)
