from __future__ import annotations

import dataclasses

import pytest

from jupyter_pyserve.v2.request_options import PLAIN, RequestOptions


def test_nothing_said_is_a_plain_request() -> None:
    assert RequestOptions() == PLAIN
    assert RequestOptions(version="2") != PLAIN


def test_one_value_may_be_shared_by_many_requests() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLAIN.version = "2"  # type: ignore[misc]
