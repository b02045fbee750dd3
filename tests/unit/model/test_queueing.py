"""Queue limits and timeouts of one level."""

from __future__ import annotations

import weakref

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.queueing import Level
from jupyter_pyserve.model.scheduling import QueuePolicy, TimeoutAction
from tests.unit.model.items import Item

US = 1000


def level(
    *, action: TimeoutAction = TimeoutAction.REJECT, timeout_us: int = 0, override: bool = False, max_size: int = 0
) -> Level[Item]:
    return Level(
        QueuePolicy(
            timeout_action=action,
            default_timeout_us=timeout_us,
            allow_timeout_override=override,
            max_queue_size=max_size,
        )
    )


@pytest.mark.parametrize(("name", "shown"), [("r8", "r8"), ("", "<id_unknown>")])
def test_a_full_queue_refuses(name: str, shown: str) -> None:
    queue = level(max_size=1)
    queue.offer(Item("first"), 0)
    with pytest.raises(PyServeError) as caught:
        queue.offer(Item(name), 0)
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.message == f"[request id: {shown}] Exceeds maximum queue size"
    assert len(queue) == 1


def test_delayed_requests_count_towards_the_size() -> None:
    queue = level(max_size=1, timeout_us=5, action=TimeoutAction.DELAY)
    queue.offer(Item("a"), 0)
    assert queue.sweep(5 * US) == (True, [])
    assert (len(queue.main), len(queue.delayed)) == (0, 1)
    with pytest.raises(PyServeError):
        queue.offer(Item("b"), 6 * US)


def test_a_request_expires_at_its_deadline_and_not_before() -> None:
    queue = level(timeout_us=5)
    item = Item("a")
    queue.offer(item, 100)
    assert queue.next_deadline_ns() == 100 + 5 * US
    assert queue.sweep(99 + 5 * US) == (False, [])
    assert queue.sweep(100 + 5 * US) == (True, [item])
    assert len(queue) == 0
    assert queue.next_deadline_ns() is None


@pytest.mark.parametrize(
    ("default_us", "override", "own_us", "deadline_ns"),
    [
        (100, True, 10, 10 * US),
        (100, True, 200, 100 * US),
        (100, True, 0, 100 * US),
        (100, False, 10, 100 * US),
        (0, True, 10, None),
    ],
)
def test_a_requests_own_timeout_counts_only_if_smaller(
    *, default_us: int, override: bool, own_us: int, deadline_ns: int | None
) -> None:
    queue = level(timeout_us=default_us, override=override)
    queue.offer(Item(timeout_us=own_us), 0)
    assert queue.next_deadline_ns() == deadline_ns
    assert queue.timed == (default_us > 0)


def test_overrides_expire_out_of_order() -> None:
    queue = level(timeout_us=100, override=True)
    slow, quick = Item("slow"), Item("quick", timeout_us=10)
    queue.offer(slow, 0)
    queue.offer(quick, 1)
    assert queue.sweep(11 * US) == (True, [quick])
    assert list(queue.main) == [slow]


def test_a_delayed_request_never_expires_again() -> None:
    queue = level(timeout_us=5, action=TimeoutAction.DELAY)
    queue.offer(Item("a"), 0)
    queue.sweep(5 * US)
    assert queue.next_deadline_ns() is None
    assert queue.sweep(10**12) == (False, [])


@pytest.mark.parametrize("delayed", [False, True])
def test_cancelling_forgets(*, delayed: bool) -> None:
    queue = level(timeout_us=5, action=TimeoutAction.DELAY)
    item = Item("a")
    queue.offer(item, 0)
    if delayed:
        queue.sweep(5 * US)
    assert queue.cancel(item)
    assert not queue.cancel(item)
    assert len(queue) == 0
    assert queue.next_deadline_ns() is None


def test_a_request_that_comes_back_has_a_new_deadline() -> None:
    queue = level(timeout_us=5)
    item = Item("a")
    queue.offer(item, 0)
    queue.main.popleft()
    queue.forget(item)
    queue.offer(item, 3 * US)
    assert queue.next_deadline_ns() == 8 * US
    assert queue.sweep(5 * US) == (False, [])


def test_requests_that_are_gone_are_not_held_behind_one_that_waits() -> None:
    queue = level(timeout_us=10**9, override=True)
    queue.offer(Item("waits", timeout_us=5), 0)
    gone = []
    for _ in range(1000):
        queue.offer(Item(timeout_us=7), 0)
        gone.append(weakref.ref(queue.main[-1]))
        queue.forget(queue.main.pop())
    assert sum(ref() is not None for ref in gone) < 100
    last = Item("last", timeout_us=6)
    queue.offer(last, 0)
    assert queue.next_deadline_ns() == 5 * US
    assert [item.id for item in queue.sweep(6 * US)[1]] == ["waits", "last"]


def test_clearing_leaves_nothing() -> None:
    queue = level(timeout_us=5)
    queue.offer(Item("a"), 0)
    queue.clear()
    assert len(queue) == 0
    assert queue.next_deadline_ns() is None
