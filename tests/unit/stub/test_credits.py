from __future__ import annotations

from pyserve_stub.credits import Credits


def test_a_window_is_spent_and_granted_again() -> None:
    made = Credits({})
    made.open(7, 2)
    for _ in range(2):
        assert made.allows(7)
        made.spend(7)
    assert not made.allows(7)
    made.grant([7, 8])
    assert made.allows(7)


def test_most_requests_have_no_limit() -> None:
    made = Credits({})
    assert not made
    for _ in range(3):
        assert made.allows(1)
        made.spend(1)
    made.open(7, 1)
    assert made
    assert made.allows(1)


def test_it_ends_with_the_request() -> None:
    made = Credits({})
    made.open(7, 1)
    made.spend(7)
    made.close(7)
    made.close(7)
    made.grant([7])
    assert not made
    assert made.allows(7)


def test_nobody_waits_for_a_request_that_is_cancelled() -> None:
    cancelled: dict[int, None] = {}
    made = Credits(cancelled)
    made.open(7, 1)
    made.spend(7)
    assert not made.allows(7)
    cancelled[7] = None
    assert made.allows(7)
