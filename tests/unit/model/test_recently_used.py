from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.model.recently_used import RecentlyUsed


def held(*sizes: int, limit: int = 10) -> RecentlyUsed[int, str]:
    made: RecentlyUsed[int, str] = RecentlyUsed(limit)
    for key, size in enumerate(sizes):
        made.put(key, f"value {key}", size)
    return made


def test_what_was_used_longest_ago_makes_room() -> None:
    made = held(3, 3, 3)
    assert made.get(0) == "value 0"
    assert made.put(9, "new", 4) == 1
    assert [key in made for key in (0, 1, 2, 9)] == [True, False, True, True]
    assert (made.used, len(made)) == (10, 3)


def test_as_many_go_as_must() -> None:
    made = held(3, 3, 3)
    assert made.put(9, "new", 10) == 3
    assert (made.used, len(made)) == (10, 1)


def test_what_is_larger_than_everything_changes_nothing() -> None:
    made = held(3, 3)
    assert made.put(9, "new", 11) is None
    assert (made.used, len(made), made.get(9)) == (6, 2, None)


def test_asking_whether_it_is_there_is_no_use() -> None:
    made = held(5, 5)
    assert 0 in made
    made.put(9, "new", 5)
    assert 0 not in made


def test_forgetting() -> None:
    made = held(1, 2, 3)
    made.forget(lambda key: key != 1)
    assert (made.used, len(made), made.get(1)) == (2, 1, "value 1")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 12)), max_size=60))
def test_is_what_a_plain_list_would_be(steps: list[tuple[bool, int, int]]) -> None:
    made: RecentlyUsed[int, int] = RecentlyUsed(10)
    model: list[tuple[int, int]] = []  # keys and sizes, those used last at the end
    for asks, key, size in steps:
        known = next((item for item in model if item[0] == key), None)
        if asks:
            assert made.get(key) == (None if known is None else known[1])
            if known is not None:
                model.remove(known)
                model.append(known)
        elif known is None:
            made.put(key, size, size)
            if size <= 10:
                model.append((key, size))
                while sum(item[1] for item in model) > 10:
                    del model[0]
        assert made.used == sum(item[1] for item in model) <= 10
        assert [item[0] for item in model if item[0] not in made] == []
        assert len(made) == len(model)
