"""Loading what the repositories hold: many models at once, and in control mode `poll` again and again as they change.

Looks at files in a thread. What follows from a look is `model.polling`'s to say, and the registry's to carry out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol

from jupyter_pyserve.engine.repository.disk import Repositories, Signature
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import Identity
from jupyter_pyserve.model.polling import Polling
from jupyter_pyserve.settings import EngineSettings

_log = logging.getLogger(__name__)

#: How soon a model that is changing is looked at again, at first; later and later then.
_SETTLE_S = 0.25
_MOST_LOOKS = 16


class Models(Protocol):
    """What is asked of the registry."""

    async def load_one(self, identity: Identity) -> None: ...

    async def forget(self, identity: Identity) -> None: ...


async def load_all(models: Models, identities: Collection[Identity], at_once: int) -> list[Identity]:
    """Load models, so many of them at a time; those that could not be, which is logged."""
    gate = asyncio.Semaphore(at_once)

    async def load(identity: Identity) -> Identity | None:
        async with gate:
            try:
                await models.load_one(identity)
            except PyServeError as error:
                _log.error("%s", error.message)
                return identity
            return None

    failed = await asyncio.gather(*map(load, identities))
    return [identity for identity in failed if identity is not None]


class Poller:
    """Keeps what is served in step with the repositories. `sleep` is how it waits."""

    def __init__(
        self,
        repositories: Repositories,
        models: Models,
        settings: EngineSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._repositories = repositories
        self._models = models
        self._interval_s = settings.poll_interval_s
        self._at_once = settings.load_thread_count
        self._sleep = sleep
        self._polling: Polling[Identity, Signature] = Polling()
        self._doubtful: set[Identity] = set()

    def start(self) -> tuple[list[Identity], list[Identity]]:
        """The first look, which blocks: what there is to load, and what is in several places by mistake."""
        found, doubtful = self._repositories.signatures()
        self._polling.start(found)
        self._doubtful = doubtful
        return list(found), list(doubtful)

    def tried(self, identities: Iterable[Identity], failed: Iterable[Identity]) -> None:
        """These were loaded, apart from those that could not be."""
        self._polling.tried(identities, failed)

    async def run(self) -> None:
        """Look again and again, for ever."""
        looks_soon = 0
        while True:
            soon_s = _SETTLE_S * 2 ** (looks_soon - 1)
            soon = looks_soon > 0 and soon_s < self._interval_s
            await self._sleep(soon_s if soon else self._interval_s)
            try:
                unsettled = await self.look(retry=not soon)
            except Exception:  # noqa: BLE001 - the top of a task: the next look may find things in order again
                _log.exception("the model repositories could not be polled")
                continue
            looks_soon = min(looks_soon + 1, _MOST_LOOKS) if unsettled else 0

    async def look(self, *, retry: bool = True) -> bool:
        """One look and what follows from it; whether something is changing still."""
        changes = self._polling.look(await asyncio.to_thread(self._look), retry=retry)
        for identity in changes.unload:
            await self._models.forget(identity)
        failed = await load_all(self._models, changes.load, self._at_once)
        self._polling.tried(changes.load, failed)
        return changes.unsettled

    def _look(self) -> dict[Identity, Signature]:
        found, doubtful = self._repositories.signatures()
        for identity in doubtful - self._doubtful:
            _log.error("failed to poll model '%s': not unique across all model repositories", identity.name)
        self._doubtful = doubtful
        return found
