"""The order in which answers leave: that of their requests, however late or early each is given.

Must not know what an answer is, or who waits for it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT", bound=Hashable)
AnswerT = TypeVar("AnswerT")


class ReleaseOrder(Generic[RequestT, AnswerT]):
    """Requests have places, in the order in which they `enter`; what is given for one waits for all before it."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: OrderedDict[RequestT, _Place[AnswerT]] = OrderedDict()

    def __len__(self) -> int:
        """How many requests have a place."""
        return len(self._places)

    def enter(self, request: RequestT) -> None:
        """A request has come."""
        self._places[request] = _Place()

    def give(self, request: RequestT, answer: AnswerT, *, final: bool) -> None:
        """One answer to a request that has a place, `final` if it is the last."""
        place = self._places[request]
        place.answers.append(answer)
        place.complete = final

    def leave(self, request: RequestT) -> list[AnswerT]:
        """A request gives up its place, if it has one: what waited there."""
        place = self._places.pop(request, None)
        return [] if place is None else list(place.answers)

    def take(self) -> AnswerT | None:
        """The next answer that may leave now, if any."""
        request, place = next(iter(self._places.items()), (None, None))
        if request is None or place is None or not place.answers:
            return None
        answer = place.answers.popleft()
        if place.complete and not place.answers:
            del self._places[request]
        return answer


class _Place(Generic[AnswerT]):
    """What waits for one request."""

    __slots__ = ("answers", "complete")

    def __init__(self) -> None:
        self.answers: deque[AnswerT] = deque()
        self.complete = False
