from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.model.ordering import ReleaseOrder


def waiting(*requests: str) -> ReleaseOrder[str, str]:
    made: ReleaseOrder[str, str] = ReleaseOrder()
    for request in requests:
        made.enter(request)
    return made


def taken(order: ReleaseOrder[str, str]) -> list[str]:
    found = []
    while (answer := order.take()) is not None:
        found.append(answer)
    return found


def test_who_is_early_waits_for_who_came_before() -> None:
    order = waiting("a", "b", "c")
    order.give("c", "C", final=True)
    order.give("b", "B", final=True)
    assert taken(order) == []
    order.give("a", "A", final=True)
    assert taken(order) == ["A", "B", "C"]
    assert len(order) == 0


def test_parts_of_the_first_do_not_wait_for_its_end() -> None:
    order = waiting("a", "b")
    order.give("b", "B1", final=False)
    order.give("a", "A1", final=False)
    assert taken(order) == ["A1"]
    order.give("a", "A2", final=True)
    assert taken(order) == ["A2", "B1"]
    order.give("b", "B2", final=True)
    assert taken(order) == ["B2"]


def test_who_leaves_is_not_waited_for_and_takes_his_answers_along() -> None:
    order = waiting("a", "b", "c")
    order.give("b", "B", final=True)
    order.give("c", "C", final=True)
    assert order.leave("b") == ["B"]
    assert order.leave("a") == []
    assert taken(order) == ["C"]
    assert order.leave("c") == [], "it has gone"


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)), st.data())
def test_whatever_happens_the_order_is_that_of_the_requests(
    finished: list[int], leaving: set[int], data: st.DataObject
) -> None:
    order: ReleaseOrder[int, int] = ReleaseOrder()
    for request in range(8):
        order.enter(request)
    seen: list[int] = []
    for request in finished:
        if request in leaving:
            order.leave(request)
        else:
            order.give(request, request, final=True)
        if data.draw(st.booleans()):
            seen += taken_numbers(order)
    assert seen + taken_numbers(order) == [request for request in range(8) if request not in leaving]


def taken_numbers(order: ReleaseOrder[int, int]) -> list[int]:
    found = []
    while (answer := order.take()) is not None:
        found.append(answer)
    return found
