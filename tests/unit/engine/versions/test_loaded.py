from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.versions.loaded import LoadedVersion


def test_a_request_that_breaks_when_memory_was_freed_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    fed: list[str] = []

    def breaks() -> bool:
        raise ZeroDivisionError

    def takes() -> bool:
        fed.append("taken")
        return True

    version = cast(Any, SimpleNamespace(_hungry=deque((breaks, takes, lambda: False, takes))))
    LoadedVersion._feed(version)
    assert fed == ["taken"]
    assert len(version._hungry) == 2
    assert "a request that waited for memory failed" in caplog.text
