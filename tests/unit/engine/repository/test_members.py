from __future__ import annotations

import contextlib
import itertools

import pytest

from jupyter_pyserve.engine.repository.members import CircularEnsembles, Dependents
from jupyter_pyserve.model.naming import Identity


def ensemble(name: str) -> Identity:
    return Identity("", name)


@pytest.mark.parametrize("names", ["aa", "aba", "abca"])
def test_ensembles_that_wait_for_each_other_are_refused(names: str) -> None:
    dependents = Dependents({})
    *others, last = itertools.pairwise(names)
    with contextlib.ExitStack() as stack:
        for name, member in others:
            stack.enter_context(dependents.waiting(ensemble(name), ensemble(member)))
        waits, member = last
        with pytest.raises(CircularEnsembles) as caught, dependents.waiting(ensemble(waits), ensemble(member)):
            pass
        text = f"circular dependency between ensembles: {member} -> ... -> {waits} -> {member}\n"
        assert caught.value.message("m").endswith(text)
    with dependents.waiting(ensemble(waits), ensemble(member)) if waits != member else contextlib.nullcontext():
        pass  # nobody waits any more


def test_ensembles_that_wait_in_a_row_are_fine() -> None:
    dependents = Dependents({})
    with (
        dependents.waiting(ensemble("b"), ensemble("c")),
        dependents.waiting(ensemble("c"), ensemble("d")),
        dependents.waiting(ensemble("a"), ensemble("b")),
    ):
        pass
