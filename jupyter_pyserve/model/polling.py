"""What to do about models that are found in the repositories, look by look: load, load again, unload, or wait.

A model that somebody is writing is waited for: it is taken when two looks have found the same. Owns what was found and
tried. Must not know files, and reads no clock.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
SignatureT = TypeVar("SignatureT")


@dataclass(frozen=True, slots=True)
class Changes(Generic[KeyT]):
    """What is to be done now; `unsettled`: something is changing still, so another look soon makes sense."""

    load: tuple[KeyT, ...]
    unload: tuple[KeyT, ...]
    unsettled: bool


class Polling(Generic[KeyT, SignatureT]):
    """Successive looks at models, each with a signature that changes with its files."""

    def __init__(self) -> None:
        #: What the last look has found.
        self._found: Mapping[KeyT, SignatureT] = {}
        #: What was to be loaded, and what of that could not be.
        self._taken: dict[KeyT, SignatureT] = {}
        self._failed: set[KeyT] = set()

    def start(self, found: Mapping[KeyT, SignatureT]) -> None:
        """The first look: everything is to be loaded as it is."""
        self._found = found
        self._taken = dict(found)

    def look(self, found: Mapping[KeyT, SignatureT], *, retry: bool) -> Changes[KeyT]:
        """The next one; with `retry`, what could not be loaded is tried again although it is as it was."""
        before, self._found = self._found, found
        load: list[KeyT] = []
        unsettled = False
        for key, signature in found.items():
            if self._taken.get(key) == signature:
                if retry and key in self._failed:
                    load.append(key)
            elif before.get(key) == signature:
                load.append(key)
            else:
                unsettled = True
        gone = [key for key in self._taken if key not in found]
        unload = [key for key in gone if key not in before]
        for key in unload:
            del self._taken[key]
            self._failed.discard(key)
        self._taken.update({key: found[key] for key in load})
        return Changes(tuple(load), tuple(unload), unsettled or len(unload) < len(gone))

    def tried(self, keys: Iterable[KeyT], failed: Iterable[KeyT]) -> None:
        """These were loaded, apart from those that could not be."""
        self._failed.difference_update(keys)
        self._failed.update(failed)
