"""Decides which instances may execute now, where the server limits rates: by what they need, and by whose turn it is.

Owns resources and turns across models. Carries nothing out: whoever holds a seat says when it asks and when it is done.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Final, TypeAlias

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.values import RateLimiter
from jupyter_pyserve.settings import RateLimitResource

#: A resource of one device; of the whole server where the device is `_GLOBAL`.
Pool: TypeAlias = tuple[int, str]
_GLOBAL: Final = -1


class Seat:
    """An instance's place: what it needs in order to execute, and how often it has."""

    __slots__ = ("asked", "executions", "held", "needs", "weight")

    def __init__(self, limits: RateLimiter | None, device: int) -> None:
        limits = limits or RateLimiter()
        self.needs: Mapping[Pool, int] = {
            (_GLOBAL if resource.is_global else device, resource.name): resource.count for resource in limits.resources
        }
        self.weight = max(1, limits.priority)
        self.executions = 1  # its start counts, as on Triton: else the weak would begin level with the strong
        self.held = False
        #: Its entry among those that wait; 0 if it does not.
        self.asked = 0

    @property
    def score(self) -> tuple[int, int]:
        """Who has the lowest comes first; of two who had as much, the stronger."""
        return self.executions * self.weight, self.weight


#: Its score, when it asked, and who.
_Entry: TypeAlias = tuple[tuple[int, int], int, Seat]


class SeatBook:
    """All seats of a server. `given` is what there is of each resource; without it, as much as one instance needs."""

    def __init__(self, given: Sequence[RateLimitResource] = ()) -> None:
        self._given = given
        self._seats: dict[Seat, None] = {}
        self._capacity: dict[Pool, int] = {}
        self._used: dict[Pool, int] = {}
        self._waiting: list[_Entry] = []
        self._serial = count(1).__next__

    # -- who there is -------------------------------------------------------------------------------------------------

    def join(self, seats: Sequence[Seat]) -> None:
        """Take in the instances of a model; raises `PyServeError`, and takes none, when one could never execute."""
        pools = dict.fromkeys(chain.from_iterable(seat.needs for seat in (*self._seats, *seats)))
        for seat in seats:
            for pool, needed in sorted(seat.needs.items()):
                self._require(pool, needed)
        for _, name in sorted(pools):
            if len({device == _GLOBAL for device, other in pools if other == name}) > 1:
                raise PyServeError(
                    Code.INVALID_ARG,
                    f'Resource "{name}" is present as both global and device-specific resource in the model '
                    "configuration.",
                )
        self._seats.update(dict.fromkeys(seats))
        self._measure()

    def leave(self, seats: Iterable[Seat]) -> None:
        """These instances are gone, and what they held is free."""
        for seat in seats:
            if self._seats.pop(seat, seat) is None:
                seat.asked = 0
                self._free(seat)
        self._measure()

    def _require(self, pool: Pool, needed: int) -> None:
        limit = self._limit(pool) if self._given else needed
        if limit < needed:
            raise PyServeError(
                Code.INVALID_ARG,
                f'Resource count for "{pool[1]}" is limited to {limit} which will prevent scheduling of one or more '
                f"model instances, the minimum required count is {needed}",
            )

    def _limit(self, pool: Pool) -> int:
        """What was given: for a device by its number or without one; of a global resource whatever was given most."""
        device, name = pool
        counts = (r.count for r in self._given if r.name == name and (device == _GLOBAL or r.device in (None, device)))
        return max(counts, default=0)

    def _measure(self) -> None:
        needs = list(chain.from_iterable(seat.needs.items() for seat in self._seats))
        if self._given:
            self._capacity = {pool: self._limit(pool) for pool, _ in needs}
        else:
            self._capacity = {pool: max(n for other, n in needs if other == pool) for pool, _ in needs}

    def described(self) -> str:
        """What there is of every resource, as Triton's log has it."""
        lines = ["", "Max Resource Map===>"]
        for device in sorted({device for device, _ in self._capacity}):
            lines.append(f"\tDevice: {'GLOBAL' if device == _GLOBAL else device}")
            counts = sorted((name, n) for (other, name), n in self._capacity.items() if other == device)
            lines.extend(f"\t\tResource: {name}\t Count: {count}" for name, count in counts)
        return "\n".join([*lines, ""])

    # -- whose turn it is ---------------------------------------------------------------------------------------------

    def ask(self, seat: Seat) -> None:
        """It has something to execute; `grant` says when it may."""
        if not seat.asked and not seat.held and seat in self._seats:
            seat.asked = self._serial()
            heapq.heappush(self._waiting, (seat.score, seat.asked, seat))

    def grant(self) -> list[Seat]:
        """Those that may execute now, and hold their resources from now on.

        Nobody takes what one that comes first is waiting for, so that those that need much have their turn too.
        """
        granted: list[Seat] = []
        passed: list[_Entry] = []
        contested: set[Pool] = set()
        for entry in self._in_order():
            seat = entry[2]
            if contested.isdisjoint(seat.needs) and self._fits(seat):
                seat.asked = 0
                seat.held = True
                for pool, needed in seat.needs.items():
                    self._used[pool] = self._used.get(pool, 0) + needed
                granted.append(seat)
            else:
                contested.update(seat.needs)
                passed.append(entry)
        self._waiting = passed  # in order, so it is a heap
        return granted

    def release(self, seat: Seat, *, executed: bool) -> None:
        """It is done, or has nothing to execute after all."""
        self._free(seat)
        seat.executions += executed

    def _in_order(self) -> Iterator[_Entry]:
        waiting = self._waiting
        while waiting:
            entry = heapq.heappop(waiting)
            if entry[2].asked == entry[1]:
                yield entry

    def _fits(self, seat: Seat) -> bool:
        used, capacity = self._used, self._capacity
        return all(used.get(pool, 0) + needed <= capacity[pool] for pool, needed in seat.needs.items())

    def _free(self, seat: Seat) -> None:
        if seat.held:
            seat.held = False
            for pool, needed in seat.needs.items():
                self._used[pool] -= needed
