from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.model.waits import find_circle

Graph = Mapping[str, Collection[Collection[str]]]


def circle(graph: Graph, start: str = "a") -> str:
    """Names separated by spaces."""
    return " ".join(find_circle(start, lambda node: graph.get(node, ())))


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, ""),
        ({"a": ["a"]}, "a a"),
        ({"a": ["b"]}, ""),
        ({"a": ["b"], "b": ["a"]}, "a b a"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "a b c a"),
        # Any instance will do, unless all of them wait in the circle.
        ({"a": ["ax"]}, ""),
        ({"a": ["ax"], "x": ["ax"]}, "a a"),
        ({"a": ["b"], "b": ["ac"]}, ""),
        # Everything that is waited for must come; what nobody has to bring about will.
        ({"a": ["b", "a"]}, "a a"),
        ({"a": [""]}, ""),
        ({"a": ["", "a"]}, "a a"),
        # Waiting for those who wait in a circle of their own.
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "a b c"),
        # The other way out of `b` leads on.
        ({"a": ["bc"], "b": ["a"], "c": []}, ""),
        ({"a": ["bc"], "b": ["a"], "c": ["d"], "d": ["a"]}, "a b a"),
    ],
)
def test_circles(graph: Graph, expected: str) -> None:
    assert circle(graph) == expected


NODES = "abcdef"
GRAPHS = st.dictionaries(
    st.sampled_from(NODES), st.lists(st.frozensets(st.sampled_from(NODES), max_size=3), max_size=3)
)


def can_go_on(graph: Graph) -> set[str]:
    """Played through: whoever has all that it waits for goes on, and by that others get what they wait for."""
    free: set[str] = set()
    while True:
        more = {
            node
            for node in NODES
            if node not in free and all(not need or free.intersection(need) for need in graph.get(node, ()))
        }
        if not more:
            return free
        free |= more


@given(graph=GRAPHS, start=st.sampled_from(NODES))
def test_a_circle_is_named_just_when_nobody_could_ever_go_on(graph: Graph, start: str) -> None:
    way = find_circle(start, lambda node: graph.get(node, ()))
    assert bool(way) == (start not in can_go_on(graph))
    if way:
        assert way[0] == start
        for node, following in itertools.pairwise(way):
            assert any(following in need for need in graph[node])
        assert not can_go_on(graph).intersection(way)
