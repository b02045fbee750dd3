from __future__ import annotations

import pytest

from jupyter_pyserve.settings import Category
from jupyter_pyserve.v2 import restrictions
from jupyter_pyserve.v2.restrictions import category_of_path
from jupyter_pyserve.v2.routes import Endpoint


@pytest.mark.parametrize(
    ("path", "category"),
    [
        (b"/v2", Category.METADATA),
        (b"/v2/health/live", Category.HEALTH),
        (b"/v2/models/m/ready", Category.HEALTH),
        (b"/v2/models/m/versions/1?a=b", Category.METADATA),
        (b"/v2/models/m/infer", Category.INFERENCE),
        (b"/v2/models/m/generate_stream", Category.INFERENCE),
        (b"/v2/models/m/config", Category.MODEL_CONFIG),
        (b"/v2/models/stats", Category.STATISTICS),
        (b"/v2/repository/index", Category.MODEL_REPOSITORY),
        (b"/v2/repository/models/m/load", Category.MODEL_REPOSITORY),
        (b"/v2/systemsharedmemory/status", Category.SHARED_MEMORY),
        (b"/v2/cudasharedmemory/region/r/register", Category.SHARED_MEMORY),
        (b"/v2/trace/setting", Category.TRACE),
        (b"/v2/logging", Category.LOGGING),
        (b"/v2/nowhere", None),
    ],
)
def test_paths(path: bytes, category: Category | None) -> None:
    assert category_of_path(path) is category


def test_every_endpoint_of_the_protocol_is_in_a_category() -> None:
    metrics = {Endpoint.METRICS, Endpoint.NO_METRICS}  # a port of their own
    assert set(restrictions._ENDPOINTS) == set(Endpoint) - metrics
