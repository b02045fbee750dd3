"""Who may execute now, in tables and whatever the order of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.rate_limiting import Seat, SeatBook
from jupyter_pyserve.model.values import RateLimiter, RateLimiterResource
from jupyter_pyserve.settings import RateLimitResource


def seat(*, priority: int = 0, device: int = 0, shared: int = 0, **needs: int) -> Seat:
    """`shared` is how much it needs of the global resource G."""
    resources = [RateLimiterResource(name=name, is_global=False, count=count) for name, count in needs.items()]
    if shared:
        resources.append(RateLimiterResource(name="G", is_global=True, count=shared))
    return Seat(RateLimiter(resources=tuple(resources), priority=priority), device)


class Bench:
    """A book of seats "a", "b", … that all want to execute, again and again."""

    def __init__(self, *seats: Seat, given: tuple[RateLimitResource, ...] = ()) -> None:
        self.book = SeatBook(given)
        self.book.join(seats)
        self.names = dict(zip(seats, "abcdef"))

    def ask(self, *seats: Seat) -> str:
        for each in seats:
            self.book.ask(each)
        return self.grant()

    def grant(self) -> str:
        return "".join(self.names[seat] for seat in self.book.grant())

    def done(self, seat: Seat) -> str:
        """It has executed once, and asks again."""
        self.book.release(seat, executed=True)
        return self.ask(seat)

    def order(self, count: int) -> str:
        """Who executes, one after the other."""
        order = self.ask(*self.names)
        while len(order) < count:
            order += self.done(next(seat for seat, name in self.names.items() if name == order[-1]))
        return order


def refusal(*seats: Seat, given: tuple[RateLimitResource, ...] = ()) -> str:
    with pytest.raises(PyServeError) as caught:
        SeatBook(given).join(seats)
    assert caught.value.code is Code.INVALID_ARG
    return caught.value.message


def test_what_needs_nothing_executes_at_once() -> None:
    a, b = seat(), Seat(None, 0)
    assert Bench(a, b).ask(a, b) == "ab"


def test_there_is_as_much_as_one_instance_needs() -> None:
    a, b = seat(R=4), seat(R=2)
    bench = Bench(a, b)
    assert bench.ask(a, b) == "a"
    bench.book.release(a, executed=True)
    assert bench.grant() == "b"


def test_there_is_as_much_as_was_given() -> None:
    a, b = seat(R=4), seat(R=2)
    assert Bench(a, b, given=(RateLimitResource("R", 6),)).ask(a, b) == "ab"


def test_resources_belong_to_devices() -> None:
    a, b, c = seat(R=1), seat(R=1, device=1), seat(R=1)
    assert Bench(a, b, c).ask(a, b, c) == "ab"


def test_global_resources_belong_to_all_devices() -> None:
    a, b = seat(shared=1), seat(shared=1, device=1)
    assert Bench(a, b).ask(a, b) == "a"


@pytest.mark.parametrize(
    ("priorities", "order"),
    [
        ((0, 0), "abababab"),
        ((1, 2), "aabaabaab"),
        ((2, 1), "bbabbabba"),
        ((1, 3), "aaabaaab"),
        ((2, 2), "abababab"),
    ],
)
def test_turns_are_by_executions_and_priority(priorities: tuple[int, int], order: str) -> None:
    assert Bench(*(seat(R=1, priority=priority) for priority in priorities)).order(len(order)) == order


def test_nobody_overtakes_who_waits_for_the_same() -> None:
    a, b, c = seat(R=3), seat(R=4), seat(R=1, priority=9)
    bench = Bench(a, b, c)
    assert bench.ask(a) == "a"
    assert bench.ask(b, c) == ""  # c would fit, and b would wait for ever
    bench.book.release(a, executed=True)
    assert bench.grant() == "b"


def test_what_needs_something_else_goes_on() -> None:
    a, b, c = seat(R=4), seat(R=4), seat(S=1, priority=9)
    assert Bench(a, b, c).ask(a, b, c) == "ac"


def test_what_did_not_execute_does_not_count() -> None:
    a, b = seat(R=1), seat(R=1)
    bench = Bench(a, b)
    assert bench.ask(a) == "a"
    bench.book.release(a, executed=False)
    assert bench.ask(b, a) == "b"
    assert bench.done(b) == "a"


def test_who_asks_twice_waits_once() -> None:
    a, b = seat(R=1), seat(R=1)
    bench = Bench(a, b)
    assert bench.ask(a, b, b) == "a"
    assert bench.ask(a) == ""
    bench.book.release(a, executed=True)
    assert bench.grant() == "b"
    bench.book.release(b, executed=True)
    assert bench.grant() == ""


def test_who_leaves_frees_what_it_held_and_waits_no_more() -> None:
    a, b, c = seat(R=1), seat(R=1), seat(R=1)
    bench = Bench(a, b, c)
    assert bench.ask(a, b, c) == "a"
    bench.book.leave([a, b])
    assert bench.grant() == "c"
    assert bench.ask(a) == ""


@pytest.mark.parametrize(
    ("given", "name", "limit", "needed"),
    [
        ((RateLimitResource("R", 3),), "R", 3, 4),
        ((RateLimitResource("S", 9),), "R", 0, 4),
        ((RateLimitResource("r", 9),), "R", 0, 4),
        ((RateLimitResource("R", 9, 1),), "R", 0, 4),
        ((RateLimitResource("R", 1), RateLimitResource("R", 2, 0)), "R", 2, 4),
    ],
)
def test_an_instance_that_could_never_execute_is_refused(
    given: tuple[RateLimitResource, ...], name: str, limit: int, needed: int
) -> None:
    assert refusal(seat(R=4), given=given) == (
        f'Resource count for "{name}" is limited to {limit} which will prevent scheduling of one or more model '
        f"instances, the minimum required count is {needed}"
    )


def test_a_global_resource_is_what_was_given_most() -> None:
    given = (RateLimitResource("G", 1), RateLimitResource("G", 5, 7))
    SeatBook(given).join([seat(shared=5)])
    assert "is limited to 5 which" in refusal(seat(shared=6), given=given)


def test_a_resource_is_global_or_not() -> None:
    expected = 'Resource "G" is present as both global and device-specific resource in the model configuration.'
    assert refusal(seat(G=1, shared=1)) == expected
    book = SeatBook()
    book.join([seat(G=1)])
    with pytest.raises(PyServeError, match="present as both"):
        book.join([seat(shared=1)])
    book.join([seat(G=2)])


def test_a_model_that_is_refused_leaves_nothing() -> None:
    a, b, c = seat(R=1), seat(R=9, shared=1, G=1), seat(R=1)
    bench = Bench(a)
    with pytest.raises(PyServeError):
        bench.book.join([b])
    bench.book.join([c])
    bench.names[c] = "c"
    assert bench.ask(b, a, c) == "a"


_SEATS: Any = st.lists(
    st.builds(
        lambda priority, r, s, shared, device: seat(
            priority=priority, shared=shared, device=device, **{k: v for k, v in (("R", r), ("S", s)) if v}
        ),
        *(st.integers(0, 3) for _ in range(4)),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)


@given(_SEATS, st.lists(st.tuples(st.sampled_from(["ask", "done", "unused"]), st.integers(0, 5)), max_size=60))
def test_no_resource_is_overdrawn_and_everybody_has_a_turn(seats: list[Seat], events: list[tuple[str, int]]) -> None:
    book = SeatBook()
    book.join(seats)
    held: list[Seat] = []
    asked: set[Seat] = set()

    def settle() -> None:
        granted = book.grant()
        assert asked.issuperset(granted)
        asked.difference_update(granted)
        held.extend(granted)
        for pool in {pool for each in seats for pool in each.needs}:
            most = max(each.needs.get(pool, 0) for each in seats)
            assert sum(each.needs.get(pool, 0) for each in held) <= most

    for event, number in events:
        who = seats[number % len(seats)]
        if event == "ask" and who not in held:
            book.ask(who)
            asked.add(who)
        elif event != "ask" and who in held:
            held.remove(who)
            book.release(who, executed=event == "done")
        settle()
    while asked:
        assert held  # somebody holds what the others wait for
        book.release(held.pop(), executed=True)
        settle()


def test_what_there_is_is_told_as_triton_tells_it() -> None:
    book = SeatBook()
    most = seat(R1=4, shared=2)
    book.join([most, seat(R1=3)])
    assert book.described() == (
        "\nMax Resource Map===>\n\tDevice: GLOBAL\n\t\tResource: G\t Count: 2\n"
        "\tDevice: 0\n\t\tResource: R1\t Count: 4\n"
    )
    book.leave([most])
    assert book.described() == "\nMax Resource Map===>\n\tDevice: 0\n\t\tResource: R1\t Count: 3\n"
