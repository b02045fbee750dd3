from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.stub.rig import Rig, rig


@pytest.fixture
def stub() -> Iterator[Rig]:
    with rig() as made:
        yield made


@pytest.fixture
def decoupled() -> Iterator[Rig]:
    with rig(decoupled=True) as made:
        yield made
