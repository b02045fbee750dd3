"""What is different between two statuses: pure comparison of values, in the form in which watchers get it.

`None` in the place of a row means that it is gone. Members that are equal are left out; what differs is told whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Row = dict[str, Any]

#: They grow by themselves, and whoever shows them knows the beginning; else every row would differ at every look.
_CLOCKS = frozenset({"uptime_s"})


def changed_members(old: Mapping[str, Any], new: Mapping[str, Any]) -> Row:
    """The members of `new` that `old` does not have, or has otherwise; members are never taken away."""
    return {
        name: value
        for name, value in new.items()
        if (name not in old or old[name] != value) and name not in _CLOCKS  # hundreds of members are compared at a look
    }


def changed_rows(old: Mapping[str, Row], new: Mapping[str, Row]) -> dict[str, Row | None]:
    """Rows by their key, of which only what changed; new ones whole, those that are gone as None."""
    found: dict[str, Row | None] = {key: None for key in old if key not in new}
    for key, row in new.items():
        before = old.get(key)
        if before is row:
            continue
        changed = changed_members(before, row) if before is not None else row
        if changed:
            found[key] = changed
    return found


def delta(old: Row, new: Row, wanted: Collection[str] | None = None) -> Row:
    """The members `engine` and `models` of a delta, each left out when nothing in it changed."""
    found: Row = {}
    engine = changed_members(old["engine"], new["engine"])
    if engine:
        found["engine"] = engine
    models = _changed_models(_by_name(old, wanted), _by_name(new, wanted))
    if models:
        found["models"] = models
    return found


def _changed_models(old: Mapping[str, Row], new: Mapping[str, Row]) -> dict[str, Row | None]:
    found: dict[str, Row | None] = {name: None for name in old if name not in new}
    for name, row in new.items():
        before = old.get(name)
        if before is None:
            found[name] = {**row, "instances": _by_id(row)}
            continue
        changed = changed_members(before, {key: value for key, value in row.items() if key != "instances"})
        instances = changed_rows(_by_id(before), _by_id(row))
        if instances:
            changed["instances"] = instances
        if changed:
            found[name] = changed
    return found


def selected(status: Row, wanted: Collection[str] | None) -> Row:
    """A status with those models only."""
    return status if wanted is None else {**status, "models": list(_by_name(status, wanted).values())}


def _by_name(status: Row, wanted: Collection[str] | None) -> dict[str, Row]:
    return {row["name"]: row for row in status["models"] if wanted is None or row["name"] in wanted}


def _by_id(model: Row) -> dict[str, Row]:
    return {row["id"]: row for row in model["instances"]}
