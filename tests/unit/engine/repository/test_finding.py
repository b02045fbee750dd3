from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.repository.finding import find_entry, find_instance
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.errors import Code, PyServeError


class Version(Servable):
    """As much of a model version as matters here."""

    def __init__(self, version: int, *names: str) -> None:
        self.version = version
        self.instances = cast(Any, [SimpleNamespace(name=name) for name in names])


OLD, NEW = Version(1, "m_0", "m_1"), Version(2, "m_0")
ENTRY = SimpleNamespace(held=lambda: [(1, OLD), (2, NEW), (3, "an ensemble")])
REGISTRY = cast(Registry, SimpleNamespace(entries={"m": ENTRY, "e": SimpleNamespace(held=list)}))


def test_a_model() -> None:
    found: object = find_entry(REGISTRY, "m")
    assert found is ENTRY
    with pytest.raises(PyServeError, match=r"^Request for unknown model: 'x' is not found$") as caught:
        find_entry(REGISTRY, "x")
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(("name", "version"), [("m_0", NEW), ("m_0#1", OLD), ("m_0#2", NEW), ("m_1", OLD)])
def test_an_instance(name: str, version: Version) -> None:
    servable, instance = find_instance(REGISTRY, "m", name)
    assert servable is version
    assert instance.name == name.partition("#")[0]


@pytest.mark.parametrize(("model", "names"), [("m", "m_0, m_0, m_1"), ("e", "none")])
def test_no_such_instance(model: str, names: str) -> None:
    with pytest.raises(PyServeError) as caught:
        find_instance(REGISTRY, model, "m_9")
    assert caught.value.message == f"model '{model}' has no instance 'm_9' (there are: {names})"
