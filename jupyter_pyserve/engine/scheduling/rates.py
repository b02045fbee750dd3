"""The rate limiter at work: seats of all models' instances, and telling a model that one of its own has been granted.

The rules are `model.rate_limiting`'s; what is executed is the dispatchers'. Exists only where the server limits rates.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.model.config import InstanceSpec
from jupyter_pyserve.model.rate_limiting import Seat, SeatBook
from jupyter_pyserve.settings import EngineSettings

_log = logging.getLogger(__name__)


class Turns:
    """One model version's part in the rate limiter; `wake` is called when it has been granted something."""

    def __init__(self, rates: Rates, wake: Callable[[], None]) -> None:
        self._rates = rates
        self.wake = wake
        self._seats: dict[InstanceSpec, Seat] = {}
        self._holders: dict[Seat, Instance | None] = {}
        #: Whether a batch that was begun under a seat is over; a decoupled model's coroutine does not hold it.
        self.is_done: Callable[[Instance], bool] = lambda instance: not instance.executing

    def join(self, specs: Iterable[InstanceSpec]) -> None:
        """There will be these instances too; raises `PyServeError` when one could never execute."""
        new = [spec for spec in specs if not spec.passive and spec not in self._seats]
        seats = {spec: Seat(spec.rate_limiter, spec.device_id) for spec in new}
        self._rates.join(self, seats.values())
        self._seats.update(seats)

    def keep(self, specs: Iterable[InstanceSpec]) -> None:
        """There are no others any more."""
        kept = set(specs)
        gone = [self._seats.pop(spec) for spec in list(self._seats) if spec not in kept]
        for seat in gone:
            self._holders.pop(seat, None)
        self._rates.leave(gone)

    @property
    def held(self) -> bool:
        """Whether an instance holds its seat."""
        return bool(self._holders)

    def in_order(self, instances: Iterable[Instance]) -> Sequence[Instance]:
        """Those that have a seat; whose turn comes first, first."""
        seats = self._seats
        return sorted((item for item in instances if item.spec in seats), key=lambda item: seats[item.spec].score)

    def take(self, instance: Instance) -> bool:
        """Whether an instance may execute now; if not, `wake` is called when it may."""
        seat = self._seats[instance.spec]
        if seat not in self._holders:
            self._rates.ask(seat)
        if self._holders.get(seat, instance) is not None:
            return False  # it waits, or the process that this one replaced still executes
        self._holders[seat] = instance
        return True

    def granted(self, seat: Seat) -> None:
        """A seat is ours until it is released, whoever takes it."""
        self._holders[seat] = None

    def finish(self) -> None:
        """Release what has been executed, or what has ended with its process."""
        self._release(executed=True, seats=[seat for seat, holder in self._holders.items() if holder is not None])

    def give_back(self) -> None:
        """Release what nobody made use of, and let those go on who waited for what was released."""
        self._release(executed=False, seats=list(self._holders))
        self._rates.go_on(None)

    def _release(self, *, executed: bool, seats: Sequence[Seat]) -> None:
        for seat in seats:
            holder = self._holders[seat]
            if holder is None or self.is_done(holder):
                del self._holders[seat]
                self._rates.release(seat, executed=executed)


class Rates:
    """What all models share: the book of seats, and whose each seat is."""

    def __init__(self, settings: EngineSettings) -> None:
        self._book = SeatBook(settings.rate_limit_resources)
        self._turns: dict[Seat, Turns] = {}

    def join(self, turns: Turns, seats: Iterable[Seat]) -> None:
        """These seats are `turns`' own."""
        added = list(seats)
        self._book.join(added)
        self._turns.update(dict.fromkeys(added, turns))
        _log.debug("%s", self._book.described())

    def leave(self, seats: Iterable[Seat]) -> None:
        """Nobody's any more."""
        gone = list(seats)
        self._book.leave(gone)
        for seat in gone:
            del self._turns[seat]
        _log.debug("%s", self._book.described())
        self.go_on(None)

    def ask(self, seat: Seat) -> None:
        """Somebody wants to execute."""
        self._book.ask(seat)
        self.go_on(self._turns[seat])

    def release(self, seat: Seat, *, executed: bool) -> None:
        """Somebody has executed, or did not want to."""
        self._book.release(seat, executed=executed)

    def go_on(self, asking: Turns | None) -> None:
        """Grant what can be granted. All but who is `asking` hear of it in their own time."""
        others: set[Turns] = set()
        for seat in self._book.grant():
            turns = self._turns[seat]
            turns.granted(seat)
            if turns is not asking:
                others.add(turns)
        for turns in others:
            asyncio.get_running_loop().call_soon(turns.wake)
