from __future__ import annotations

import dataclasses

import pytest

from jupyter_pyserve.v2.messages import InferRequest, InputRef, request_prefix


def test_requests_can_be_shared() -> None:
    tensor = InputRef(name="I", datatype="FP32", shape=(1,), offset=0, nbytes=4)
    request = InferRequest(id="", inputs=(tensor,), parameters={})
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.id = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        tensor.nbytes = 5  # type: ignore[misc]


def test_texts_name_the_request() -> None:
    assert request_prefix("a") == "[request id: a] "
    assert request_prefix("") == "[request id: <id_unknown>] "
