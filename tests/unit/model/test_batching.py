"""When batches form: tables, and a plain reading of the rules to compare with on random histories."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.batching import DefaultScheduler, DynamicBatcher, Scheduler
from jupyter_pyserve.model.scheduling import DynamicBatching, QueuePolicy, TimeoutAction
from tests.unit.model.items import Item

US = 1000


def batcher(
    config: DynamicBatching | None = None, *, max_batch_size: int = 8, hold_until: int = 0
) -> DynamicBatcher[Item]:
    return DynamicBatcher(
        config or DynamicBatching(preferred_batch_size=(8,)), max_batch_size=max_batch_size, hold_until=hold_until
    )


def fill(scheduler: Scheduler[Item], *items: Item) -> tuple[Item, ...]:
    for item in items:
        scheduler.offer(item, item.enqueue_ns)
    return items


def taken(scheduler: Scheduler[Item], now_ns: int = 0) -> list[list[str]]:
    batches = []
    while (batch := scheduler.next_batch(now_ns)) is not None:
        batches.append([item.id for item in batch])
    return batches


def test_without_a_batcher_requests_run_one_by_one_in_order() -> None:
    scheduler: DefaultScheduler[Item] = DefaultScheduler()
    assert scheduler.next_batch(0) is None
    fill(scheduler, Item("a", priority=2), Item("b", priority=1, timeout_us=1))
    assert len(scheduler) == 2
    assert scheduler.next_wakeup_ns(0) is None
    assert scheduler.expire(10**12) == []
    assert taken(scheduler, 10**12) == [["a"], ["b"]]


def test_without_a_batcher_a_waiting_request_can_be_dropped() -> None:
    scheduler: DefaultScheduler[Item] = DefaultScheduler()
    a, b = fill(scheduler, Item("a"), Item("b"))
    assert scheduler.cancel(a)
    assert not scheduler.cancel(a)
    assert scheduler.drain() == [b]
    assert len(scheduler) == 0


@pytest.mark.parametrize(
    ("preferred", "max_batch_size", "sizes", "batches"),
    [
        ((8,), 8, [1] * 10, [8, 2]),
        ((8,), 8, [3, 3, 3], [2, 1]),
        ((2, 4), 8, [1] * 7, [4, 2, 1]),
        ((4,), 8, [1] * 3, [3]),
        # More than any preferred size: what came before it goes first, it goes alone.
        ((4,), 8, [1, 6, 1], [1, 1, 1]),
        ((4,), 8, [6, 1], [1, 1]),
        # The last preferred size that was hit wins.
        ((2, 3), 8, [2, 1, 1], [2, 1]),
        # No batch dimension: a queue of single requests.
        ((), 0, [0, 0], [1, 1]),
        ((), 0, [1, 1, 1], [1, 1, 1]),
        # Larger than allowed can only be refused elsewhere; here it must not block the queue.
        ((8,), 8, [20, 1], [1, 1]),
    ],
)
def test_sizes_without_a_delay(
    preferred: tuple[int, ...], max_batch_size: int, sizes: list[int], batches: list[int]
) -> None:
    scheduler = batcher(DynamicBatching(preferred_batch_size=preferred), max_batch_size=max_batch_size)
    fill(scheduler, *(Item(str(i), batch_size=size) for i, size in enumerate(sizes)))
    result = taken(scheduler)
    assert [len(batch) for batch in result] == batches
    assert [int(name) for batch in result for name in batch] == list(range(len(sizes)))


def test_no_more_is_taken_than_is_asked_for() -> None:
    scheduler = batcher()
    items = fill(scheduler, *(Item(str(number), shape_key=number // 5) for number in range(7)))
    assert [scheduler.next_batch(0, most) for most in (3, 4, 1, 8)] == [
        list(items[:3]),
        list(items[3:5]),
        [items[5]],
        [items[6]],
    ]


def test_a_different_shape_ends_the_batch_and_order_is_kept() -> None:
    scheduler = batcher()
    fill(scheduler, Item("a", shape_key=1), Item("b", shape_key=1), Item("c", shape_key=2), Item("d", shape_key=1))
    assert taken(scheduler) == [["a", "b"], ["c"], ["d"]]


def test_a_delay_is_waited_for_and_ends_with_a_full_batch_or_its_time() -> None:
    scheduler = batcher(DynamicBatching(preferred_batch_size=(4,), max_queue_delay_us=100))
    fill(scheduler, Item("a", enqueue_ns=10))
    assert scheduler.next_batch(10) is None
    assert scheduler.next_wakeup_ns(10) == 10 + 100 * US
    fill(scheduler, Item("b", enqueue_ns=20), Item("c", enqueue_ns=30))
    assert scheduler.next_batch(30) is None
    assert scheduler.next_wakeup_ns(30) == 10 + 100 * US
    assert scheduler.next_wakeup_ns(10**12) == 10**12
    assert taken(scheduler, 10 + 100 * US) == [["a", "b", "c"]]
    fill(scheduler, *(Item(str(i), enqueue_ns=200 * US) for i in range(4)))
    assert taken(scheduler, 200 * US) == [["0", "1", "2", "3"]]
    assert scheduler.next_wakeup_ns(200 * US) is None


def test_when_the_delay_has_passed_a_preferred_size_is_no_reason_to_hold_back() -> None:
    scheduler = batcher(DynamicBatching(preferred_batch_size=(4,), max_queue_delay_us=100))
    fill(scheduler, *(Item(str(i)) for i in range(6)))
    assert taken(scheduler, 100 * US) == [["0", "1", "2", "3", "4", "5"]]


def test_a_batch_that_cannot_grow_is_not_delayed() -> None:
    scheduler = batcher(DynamicBatching(preferred_batch_size=(8,), max_queue_delay_us=100))
    fill(scheduler, Item("a", shape_key=1), Item("b", shape_key=2))
    assert taken(scheduler) == [["a"]]
    assert len(scheduler) == 1


def test_a_cancelled_request_leaves_the_batch_that_was_forming() -> None:
    scheduler = batcher(DynamicBatching(preferred_batch_size=(2,), max_queue_delay_us=100))
    (a,) = fill(scheduler, Item("a"))
    assert scheduler.next_batch(0) is None
    assert scheduler.cancel(a)
    assert not scheduler.cancel(a)
    assert scheduler.next_wakeup_ns(0) is None
    assert scheduler.next_batch(0) is None
    fill(scheduler, Item("b"), Item("c"))
    assert taken(scheduler) == [["b", "c"]]


def test_strict_priority_and_the_default_level() -> None:
    config = DynamicBatching(preferred_batch_size=(1,), priority_levels=3, default_priority_level=2)
    scheduler = batcher(config, max_batch_size=1)
    fill(scheduler, *(Item(f"{p}{i}", priority=p) for i, p in enumerate((3, 0, 1, 2, 99, 1))))
    assert taken(scheduler) == [["12"], ["15"], ["01"], ["23"], ["994"], ["30"]]


def test_an_urgent_request_joins_a_forming_batch_in_front() -> None:
    config = DynamicBatching(
        preferred_batch_size=(3,), max_queue_delay_us=10, priority_levels=2, default_priority_level=2
    )
    scheduler = batcher(config)
    fill(scheduler, Item("a"), Item("b"))
    assert scheduler.next_batch(0) is None
    fill(scheduler, Item("urgent", priority=1, enqueue_ns=5))
    assert taken(scheduler, 5) == [["urgent", "a", "b"]]


def test_the_delay_counts_from_the_oldest_request_wherever_it_stands() -> None:
    config = DynamicBatching(
        preferred_batch_size=(3,), max_queue_delay_us=10, priority_levels=2, default_priority_level=2
    )
    scheduler = batcher(config)
    fill(scheduler, Item("old"), Item("urgent", priority=1, enqueue_ns=5 * US))
    assert scheduler.next_batch(9 * US) is None
    assert scheduler.next_wakeup_ns(9 * US) == 10 * US
    assert taken(scheduler, 10 * US) == [["urgent", "old"]]


def test_there_may_be_more_levels_than_memory() -> None:
    config = DynamicBatching(preferred_batch_size=(1,), priority_levels=2**63, default_priority_level=2**62)
    scheduler = batcher(config, max_batch_size=1)
    fill(scheduler, Item("last", priority=2**63), Item("middle"), Item("first", priority=1))
    assert taken(scheduler) == [["first"], ["middle"], ["last"]]


def test_each_level_has_its_own_policy() -> None:
    config = DynamicBatching(
        preferred_batch_size=(8,),
        priority_levels=2,
        default_priority_level=2,
        default_queue_policy=QueuePolicy(max_queue_size=1),
        priority_queue_policy={1: QueuePolicy(max_queue_size=2)},
    )
    scheduler = batcher(config)
    fill(scheduler, Item("a", priority=1), Item("b", priority=1), Item("c"))
    for priority in (1, 2):
        with pytest.raises(PyServeError, match="Exceeds maximum queue size"):
            scheduler.offer(Item("d", priority=priority), 0)
    assert len(scheduler) == 3


def timed(action: TimeoutAction, **changes: int) -> DynamicBatching:
    policy = QueuePolicy(timeout_action=action, default_timeout_us=50)
    return DynamicBatching(
        preferred_batch_size=(4,),
        max_queue_delay_us=changes.get("delay_us", 0),
        default_queue_policy=policy,
    )


def test_an_expired_request_is_rejected_and_not_run() -> None:
    scheduler = batcher(timed(TimeoutAction.REJECT))
    (a, b) = fill(scheduler, Item("a"), Item("b", enqueue_ns=10 * US))
    assert scheduler.next_wakeup_ns(0) == 50 * US
    assert scheduler.expire(49 * US) == []
    assert taken(scheduler, 50 * US) == [["b"]]
    # The engine is told even if it asked for a batch first, and told to ask soon.
    assert scheduler.next_wakeup_ns(50 * US) == 50 * US
    assert scheduler.expire(50 * US) == [a]
    assert scheduler.expire(50 * US) == []
    assert scheduler.next_wakeup_ns(50 * US) is None
    assert b.id == "b"


def test_the_wake_up_is_the_earlier_of_delay_and_timeout() -> None:
    scheduler = batcher(timed(TimeoutAction.REJECT, delay_us=20))
    fill(scheduler, Item("a"))
    assert scheduler.next_batch(0) is None
    assert scheduler.next_wakeup_ns(0) == 20 * US


def test_nothing_expires_while_time_is_suspended_and_then_later() -> None:
    scheduler = batcher(DynamicBatching(default_queue_policy=QueuePolicy(default_timeout_us=10)))
    fill(scheduler, Item("a"))
    scheduler.suspend(4 * US)
    assert scheduler.next_wakeup_ns(50 * US) is None
    assert scheduler.expire(50 * US) == []
    scheduler.resume(54 * US)
    assert scheduler.next_wakeup_ns(54 * US) == 60 * US
    assert scheduler.expire(59 * US) == []
    assert [item.id for item in scheduler.expire(60 * US)] == ["a"]


def test_a_delayed_request_runs_when_nothing_else_waits() -> None:
    config = DynamicBatching(
        preferred_batch_size=(1,),
        default_queue_policy=QueuePolicy(timeout_action=TimeoutAction.DELAY, default_timeout_us=50),
    )
    scheduler = batcher(config, max_batch_size=1)
    fill(scheduler, Item("late"), Item("on time", enqueue_ns=40 * US))
    assert scheduler.expire(60 * US) == []
    assert taken(scheduler, 60 * US) == [["on time"], ["late"]]


def test_holding_until_enough_are_queued_happens_once() -> None:
    scheduler = batcher(DynamicBatching(preferred_batch_size=(8,), max_queue_delay_us=1), hold_until=3)
    fill(scheduler, Item("a"), Item("b"))
    assert scheduler.next_batch(10**9) is None
    assert scheduler.next_wakeup_ns(10**9) is None
    fill(scheduler, Item("c"))
    assert taken(scheduler, 10**9) == [["a", "b", "c"]]
    fill(scheduler, Item("d"))
    assert taken(scheduler, 10**9) == [["d"]]


@pytest.mark.parametrize("config", [DynamicBatching(preferred_batch_size=(4,)), timed(TimeoutAction.REJECT)])
def test_draining_gives_everything_back(config: DynamicBatching) -> None:
    scheduler = batcher(config)
    items = fill(scheduler, Item("a"), Item("b", enqueue_ns=40 * US))
    scheduler.cancel(Item("stranger"))
    drained = scheduler.drain()
    assert sorted(item.id for item in drained) == [item.id for item in items]
    assert len(scheduler) == 0
    assert scheduler.next_batch(10**12) is None
    assert scheduler.next_wakeup_ns(0) is None


class Plain:
    """The rules read literally: a list per level, walked from the start at each question."""

    def __init__(self, config: DynamicBatching, max_batch_size: int) -> None:
        self.config = config
        self.max_batch = max(1, max_batch_size)
        self.main: dict[int, list[tuple[Item, int | None]]] = {}
        self.delayed: dict[int, list[tuple[Item, int | None]]] = {}

    def level(self, item: Item) -> int:
        levels = self.config.priority_levels
        return item.priority if 1 <= item.priority <= levels else (self.config.default_priority_level if levels else 0)

    def offer(self, item: Item, now_ns: int) -> bool:
        level = self.level(item)
        policy = self.config.policy(level)
        main, delayed = self.main.setdefault(level, []), self.delayed.setdefault(level, [])
        if policy.max_queue_size and len(main) + len(delayed) >= policy.max_queue_size:
            return False
        timeout_us = policy.default_timeout_us
        if policy.allow_timeout_override and item.timeout_us:
            timeout_us = min(timeout_us, item.timeout_us)
        main.append((item, now_ns + timeout_us * US if timeout_us else None))
        return True

    def sweep(self, now_ns: int) -> list[Item]:
        rejected = []
        for level, main in self.main.items():
            late = sorted((e for e in main if e[1] is not None and e[1] <= now_ns), key=lambda e: (e[1], main.index(e)))
            self.main[level] = [e for e in main if e not in late]
            if self.config.policy(level).timeout_action is TimeoutAction.REJECT:
                rejected += [item for item, _ in late]
            else:
                self.delayed[level] += late
        return rejected

    def waiting(self) -> list[Item]:
        return [item for level in sorted(self.main) for item, _ in (*self.main[level], *self.delayed[level])]

    def remove(self, item: Item) -> bool:
        found = item in self.waiting()
        for lists in (self.main, self.delayed):
            for level in lists:
                lists[level] = [e for e in lists[level] if e[0] is not item]
        return found

    def next_batch(self, now_ns: int) -> list[Item]:
        pending: list[Item] = []
        best, closed, size = 0, False, 0
        preferred = self.config.preferred_batch_size
        largest = max(preferred, default=0)
        for item in self.waiting():
            step = max(1, item.batch_size)
            if pending:
                if size + step > largest and best == 0:
                    best = len(pending)
                if size + step > self.max_batch or item.shape_key != pending[0].shape_key:
                    closed = True
                    break
            pending.append(item)
            size += step
            if size in preferred:
                best = len(pending)
        if not pending:
            return []
        delay_ns = self.config.max_queue_delay_us * US
        overdue = delay_ns > 0 and now_ns - min(item.enqueue_ns for item in pending) >= delay_ns
        if best and not overdue:
            pending = pending[:best]
        elif not (closed or overdue or delay_ns == 0 or size >= largest):
            return []
        for item in pending:
            self.remove(item)
        return pending


POLICIES = st.builds(
    QueuePolicy,
    timeout_action=st.sampled_from(TimeoutAction),
    default_timeout_us=st.sampled_from([0, 0, 3, 10]),
    allow_timeout_override=st.booleans(),
    max_queue_size=st.sampled_from([0, 0, 2]),
)
CONFIGS = st.builds(
    DynamicBatching,
    preferred_batch_size=st.lists(st.integers(1, 5), max_size=3).map(tuple),
    max_queue_delay_us=st.sampled_from([0, 0, 5, 20]),
    priority_levels=st.sampled_from([0, 0, 2, 3]),
    default_priority_level=st.integers(1, 2),
    default_queue_policy=st.none() | POLICIES,
    priority_queue_policy=st.dictionaries(st.integers(1, 3), POLICIES, max_size=2),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("offer"), st.integers(0, 4), st.sampled_from("xxxy"), st.integers(0, 4), st.sampled_from([0, 2, 99])
        ),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("time"), st.integers(1, 6)),
        st.tuples(st.just("batch")),
        st.tuples(st.just("expire")),
    ),
    max_size=40,
)


class History:
    """Both schedulers under the same steps."""

    def __init__(self, config: DynamicBatching, max_batch_size: int) -> None:
        self.real: DynamicBatcher[Item] = DynamicBatcher(config, max_batch_size=max_batch_size)
        self.plain = Plain(config, max_batch_size)
        self.now_ns = 0
        self.items: list[Item] = []
        self.rejected: list[Item] = []

    def offer(self, batch_size: int, key: str, priority: int, timeout_us: int) -> None:
        item = Item(
            str(len(self.items)),
            batch_size=batch_size,
            shape_key=key,
            priority=priority,
            timeout_us=timeout_us,
            enqueue_ns=self.now_ns,
        )
        if self.plain.offer(item, self.now_ns):
            self.real.offer(item, self.now_ns)
            self.items.append(item)
        else:
            with pytest.raises(PyServeError):
                self.real.offer(item, self.now_ns)

    def cancel(self, index: int) -> None:
        if index < len(self.items):
            item = self.items[index]
            assert self.real.cancel(item) == self.plain.remove(item)

    def time(self, step_us: int) -> None:
        self.now_ns += step_us * US

    def batch(self) -> None:
        self.rejected += self.plain.sweep(self.now_ns)
        assert (self.real.next_batch(self.now_ns) or []) == self.plain.next_batch(self.now_ns)

    def expire(self) -> None:
        self.rejected += self.plain.sweep(self.now_ns)
        assert sorted(i.id for i in self.real.expire(self.now_ns)) == sorted(i.id for i in self.rejected)
        self.rejected = []


@settings(max_examples=300, deadline=None)
@given(CONFIGS, st.integers(0, 6), STEPS)
def test_random_histories_go_as_the_rules_say(
    config: DynamicBatching, max_batch_size: int, steps: list[tuple[str, ...]]
) -> None:
    history = History(config, max_batch_size)
    for name, *arguments in steps:
        step: Callable[..., None] = getattr(history, name)
        step(*arguments)
        assert len(history.real) == len(history.plain.waiting())
    history.time(10**6)
    history.expire()
    while history.plain.waiting():
        history.batch()
    assert len(history.real) == 0
