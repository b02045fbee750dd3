from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.peers import model_control
from jupyter_pyserve.errors import Code, PyServeError


class Instance:
    """A stub with one segment of its arena."""

    def __init__(self) -> None:
        self.segments = {7: SimpleNamespace(nbytes=8, view=memoryview(b"abcdefgh"))}
        self.released: list[Any] = []

    def release(self, places: list[Any]) -> None:
        self.released += places


def contents(*places: tuple[int, int, int, int]) -> tuple[dict[str, bytes], Instance]:
    instance = Instance()
    files = {str(number): place for number, place in enumerate(places)}
    return model_control._contents(cast(Any, instance), files), instance


def test_files_are_read_and_given_back() -> None:
    places = [(7, 0, 3, 1), (7, 4, 4, 2), (0, 0, 0, 0)]
    found, instance = contents(*places)
    assert list(found.values()) == [b"abc", b"efgh", b""]
    assert instance.released == places


@pytest.mark.parametrize("place", [(8, 0, 1, 1), (7, -1, 2, 1), (7, 0, -1, 1), (7, 0, 9, 1), (7, 5, 4, 1)])
def test_memory_that_is_not_there_is_not_read(place: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="a file lies outside of the stub's memory"):
        contents(place)


@pytest.mark.parametrize(("text", "version"), [("", ""), ("3", "3"), ("2x", "2"), ("0", "0")])
def test_versions(text: str, version: str) -> None:
    assert model_control._version(text) == version


@pytest.mark.parametrize(("text", "details"), [("x", " (details: stol)"), ("-1", "")])
def test_what_is_no_version(text: str, details: str) -> None:
    with pytest.raises(PyServeError) as caught:
        model_control._version(text)
    assert caught.value.code is Code.INVALID_ARG
    assert caught.value.message == (
        f"failed to get model version from specified version string '{text}'{details}, "
        "version should be an integral value > 0"
    )
