"""What becomes of a model's instances when its instance groups change: which stay, and which are to be started.

Owns when one instance is as good as another. Must not know processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jupyter_pyserve.model.naming import InstanceSpec


def match_instances(present: Sequence[InstanceSpec], wanted: Sequence[InstanceSpec]) -> list[int | None]:
    """For each that is wanted the place of a present one that can go on as it, or None; each goes on as one only.

    Names and groups do not matter, but who has the right name already is taken first.
    """
    free = dict.fromkeys(range(len(present)))
    found: list[int | None] = [None] * len(wanted)
    for alike in (_is_same, _is_as_good):
        for index, spec in enumerate(wanted):
            if found[index] is not None:
                continue
            place = next((place for place in free if alike(present[place], spec)), None)
            if place is not None:
                found[index] = place
                del free[place]
    return found


def _is_same(present: InstanceSpec, wanted: InstanceSpec) -> bool:
    return present.name == wanted.name and _is_as_good(present, wanted)


def _is_as_good(present: InstanceSpec, wanted: InstanceSpec) -> bool:
    return replace(present, name=wanted.name, group=wanted.group) == wanted
