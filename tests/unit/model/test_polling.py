"""What successive looks at the repositories come to."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.polling import Changes, Polling

Look = tuple[str, tuple[str, str, bool]]


def found(text: str) -> dict[str, str]:
    """`a1 b2`: model a with signature 1, and b with 2."""
    return {item[0]: item[1:] for item in text.split()}


@pytest.mark.parametrize(
    ("start", "looks"),
    [
        pytest.param("a1", [("a1", ("", "", False)), ("a1", ("", "", False))], id="nothing"),
        pytest.param("", [("a1", ("", "", True)), ("a1", ("a", "", False)), ("a1", ("", "", False))], id="added"),
        pytest.param("a1", [("a2", ("", "", True)), ("a2", ("a", "", False)), ("a2", ("", "", False))], id="changed"),
        pytest.param(
            "a1",
            [("a2", ("", "", True)), ("a3", ("", "", True)), ("a4", ("", "", True)), ("a4", ("a", "", False))],
            id="being written",
        ),
        pytest.param("a1", [("a2", ("", "", True)), ("a1", ("", "", False))], id="changed back"),
        pytest.param("a1", [("", ("", "", True)), ("", ("", "a", False)), ("", ("", "", False))], id="removed"),
        pytest.param("a1", [("", ("", "", True)), ("a1", ("", "", False))], id="replaced by the same"),
        pytest.param("a1", [("", ("", "", True)), ("a2", ("", "", True)), ("a2", ("a", "", False))], id="replaced"),
        pytest.param(
            "a1",
            [("", ("", "", True)), ("", ("", "a", False)), ("a1", ("", "", True)), ("a1", ("a", "", False))],
            id="removed and added",
        ),
        pytest.param("", [("a1", ("", "", True)), ("", ("", "", False))], id="added and removed"),
        pytest.param(
            "a1 b1",
            [("a2 b1 c1", ("", "", True)), ("a2 b2 c1", ("ac", "", True)), ("a2 c1", ("", "", True))],
            id="more",
        ),
    ],
)
def test_looks(start: str, looks: list[Look]) -> None:
    polling: Polling[str, str] = Polling()
    polling.start(found(start))
    for text, (load, unload, unsettled) in looks:
        assert polling.look(found(text), retry=True) == Changes(tuple(load), tuple(unload), unsettled)


def test_what_has_failed_is_tried_again() -> None:
    polling: Polling[str, str] = Polling()
    polling.start(found("a1 b1"))
    polling.tried("ab", "a")
    assert polling.look(found("a1 b1"), retry=False).load == ()
    assert polling.look(found("a1 b1"), retry=True).load == ("a",)
    polling.tried("a", "a")
    assert polling.look(found("a1 b1"), retry=True).load == ("a",)
    polling.tried("a", "")
    assert polling.look(found("a1 b1"), retry=True).load == ()


def test_what_has_failed_is_tried_as_soon_as_it_has_changed() -> None:
    polling: Polling[str, str] = Polling()
    polling.start(found("a1"))
    polling.tried("a", "a")
    assert polling.look(found("a2"), retry=True) == Changes((), (), True)
    assert polling.look(found("a2"), retry=False) == Changes(("a",), (), False)


def test_what_has_failed_and_gone_is_forgotten() -> None:
    polling: Polling[str, str] = Polling()
    polling.start(found("a1"))
    polling.tried("a", "a")
    polling.look({}, retry=True)
    assert polling.look({}, retry=True) == Changes((), ("a",), False)
    assert polling.look({}, retry=True) == Changes((), (), False)
