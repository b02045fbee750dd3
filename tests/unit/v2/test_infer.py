from __future__ import annotations

import pytest

from jupyter_pyserve.v2 import infer
from tests.unit.v2.echo import Recorded, answer, recorded

RECORDED = recorded()


def test_there_is_something_to_compare_with() -> None:
    assert len(RECORDED) > 800


@pytest.mark.parametrize("case", RECORDED, ids=[str(index) for index in range(len(RECORDED))])
def test_answers_as_triton_does(case: Recorded) -> None:
    assert answer(case.model, case.body, case.header) == case.answer


def test_the_door_opens_on_all_of_it() -> None:
    assert all(hasattr(infer, name) for name in infer.__all__)
