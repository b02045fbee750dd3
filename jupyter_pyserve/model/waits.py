"""Circles of calls: models that wait for each other so that none of them can ever go on.

Who waits for whom is a value; what is done about a circle is for the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TypeVar

NodeT = TypeVar("NodeT", bound=Hashable)

#: For each thing that a node waits for, who could bring it about: any one of them is enough. Nobody: it will come.
Waits = Callable[[NodeT], Iterable[Collection[NodeT]]]


def find_circle(start: NodeT, waits: Waits[NodeT]) -> list[NodeT]:
    """The way from `start` back to it through nodes that all wait for ever; empty when `start` can go on some day."""
    known = _reachable(start, waits)
    stuck = {node for node, needs in known.items() if needs}
    while freed := {node for node in stuck if not _is_hopeless(known[node], stuck)}:
        stuck -= freed
    return _way(start, known, stuck) if start in stuck else []


def _reachable(start: NodeT, waits: Waits[NodeT]) -> dict[NodeT, list[Collection[NodeT]]]:
    known: dict[NodeT, list[Collection[NodeT]]] = {}
    todo = [start]
    while todo:
        node = todo.pop()
        if node not in known:
            known[node] = list(waits(node))
            todo += [other for need in known[node] for other in need]
    return known


def _is_hopeless(needs: Iterable[Collection[NodeT]], stuck: set[NodeT]) -> bool:
    """Whether one of these needs can be met by nobody who can still go on."""
    return any(need and stuck.issuperset(need) for need in needs)


def _way(start: NodeT, known: dict[NodeT, list[Collection[NodeT]]], stuck: set[NodeT]) -> list[NodeT]:
    """The shortest way back to `start`; if none leads there, one into the circle that it waits for."""
    came_from: dict[NodeT, NodeT] = {}
    queue = [start]
    for node in queue:  # grows meanwhile
        for need in known[node]:
            if not need or not stuck.issuperset(need):
                continue
            for other in need:
                if other == start:
                    return [*_back(node, came_from, start), start]
                if other not in came_from:
                    came_from[other] = node
                    queue.append(other)
    return _back(queue[-1], came_from, start)


def _back(node: NodeT, came_from: dict[NodeT, NodeT], start: NodeT) -> list[NodeT]:
    way = [node]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
