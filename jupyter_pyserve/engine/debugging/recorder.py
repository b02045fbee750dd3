"""Keeping requests to be run again: those that a model failed at, unless somebody wants all or none of them.

What is kept is copied when the request has failed, or was answered, so a request that nobody wants costs nothing. Knows
nothing of how recordings are shown or replayed.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pyserve_stub.wire.layout import decode_layout

from jupyter_pyserve.engine.debugging.recording import Recording, Shelf
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.errors import PyServeError

if TYPE_CHECKING:
    from jupyter_pyserve.engine.versions.servable import Servable

_log = logging.getLogger(__name__)

DEFAULT_LIMIT = 20
MOST = 1000
_LIMIT_NBYTES = 64 << 20

Deliver = Callable[[Job, Response], None]


class Mode(enum.Enum):
    """Which requests of a model are kept."""

    FAILURES = "failures"
    ALL = "all"
    OFF = "off"


class Recorder:
    """The recordings of one engine, at most `limit_nbytes` of inputs."""

    def __init__(self, limit_nbytes: int = _LIMIT_NBYTES) -> None:
        self.shelf = Shelf(limit_nbytes)
        self._modes: dict[str, tuple[Mode, int]] = {}
        self._numbers: Counter[str] = Counter()

    def choose(self, model: str, mode: Mode, limit: int | None = None) -> None:
        """What to keep of a model from now on; servables that run ask for `delivering` again."""
        _, before = self._settings(model)
        kept = before if limit is None else limit
        self._modes[model] = mode, kept
        self.shelf.trim(model, kept)

    def forget(self, model: str) -> None:
        """The model is gone for good, and what it failed at with it."""
        self.shelf.trim(model, 0)
        self._modes.pop(model, None)
        del self._numbers[model]

    def delivering(self, model: str, deliver: Deliver) -> Deliver:
        """How answers of a model leave: as they would, unless each is to be kept before."""
        if self._settings(model)[0] is not Mode.ALL:
            return deliver

        def keep_and_deliver(job: Job, response: Response) -> None:
            if response.final and response.code is None:
                self._take(job, "")
            deliver(job, response)

        return keep_and_deliver

    def failed(self, job: Job, error: str) -> None:
        """A model failed at a request, whose inputs are still there."""
        if self._settings(job.owner.name)[0] is not Mode.OFF:
            self._take(job, error)

    def _settings(self, model: str) -> tuple[Mode, int]:
        return self._modes.get(model, (Mode.FAILURES, DEFAULT_LIMIT))

    def _take(self, job: Job, error: str) -> None:
        if not job.counts:
            return
        try:
            self.shelf.put(self._recording(job, error), self._settings(job.owner.name)[1])
        except Exception:  # noqa: BLE001 - whatever is wrong with a recording, its request must be answered
            _log.exception("request %d could not be recorded", job.key)

    def _recording(self, job: Job, error: str) -> Recording:
        owner = cast("Servable", job.owner)  # nobody else gives jobs to processes
        assert job.instance is not None
        self._numbers[owner.name] += 1
        nbytes = sum(item[2] for item in job.descriptors)
        blobs = None
        if nbytes <= self.shelf.limit_nbytes // 4:  # one request must not push out all others
            view = job.memory.view
            with contextlib.suppress(PyServeError):  # a client that has taken its memory away
                blobs = [bytes(view(*item[:3])) if item[2] else b"" for item in job.descriptors]
        return Recording(
            id=f"{owner.name}-{self._numbers[owner.name]}",
            model=owner.name,
            version=str(owner.version),
            instance=job.instance.name,
            model_file=owner.model_file,
            args=owner.initialize_args(job.instance),
            time=time.time(),
            error=error,
            request=job.plan.request,
            seen={item.name: item.shape for item in decode_layout(job.plan.layout)},
            blobs=blobs,
            nbytes=nbytes,
        )
