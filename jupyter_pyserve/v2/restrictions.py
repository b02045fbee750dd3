"""Parts of the protocol that only clients who send a certain header may use: which part an endpoint is in.

Knows neither transports nor their errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jupyter_pyserve.settings import Category
from jupyter_pyserve.v2.routes import Endpoint, Route, match

_ENDPOINTS: Final[Mapping[Endpoint, Category]] = {
    Endpoint.SERVER_LIVE: Category.HEALTH,
    Endpoint.SERVER_READY: Category.HEALTH,
    Endpoint.MODEL_READY: Category.HEALTH,
    Endpoint.SERVER_METADATA: Category.METADATA,
    Endpoint.MODEL_METADATA: Category.METADATA,
    Endpoint.OPENAPI: Category.METADATA,
    Endpoint.INFER: Category.INFERENCE,
    Endpoint.GENERATE: Category.INFERENCE,
    Endpoint.GENERATE_STREAM: Category.INFERENCE,
    Endpoint.SYSTEM_SHM_STATUS: Category.SHARED_MEMORY,
    Endpoint.SYSTEM_SHM_REGISTER: Category.SHARED_MEMORY,
    Endpoint.SYSTEM_SHM_UNREGISTER: Category.SHARED_MEMORY,
    Endpoint.CUDA_SHM_STATUS: Category.SHARED_MEMORY,
    Endpoint.CUDA_SHM_REGISTER: Category.SHARED_MEMORY,
    Endpoint.CUDA_SHM_UNREGISTER: Category.SHARED_MEMORY,
    Endpoint.MODEL_CONFIG: Category.MODEL_CONFIG,
    Endpoint.REPOSITORY_INDEX: Category.MODEL_REPOSITORY,
    Endpoint.REPOSITORY_LOAD: Category.MODEL_REPOSITORY,
    Endpoint.REPOSITORY_UNLOAD: Category.MODEL_REPOSITORY,
    Endpoint.MODEL_STATISTICS: Category.STATISTICS,
    Endpoint.TRACE_GET: Category.TRACE,
    Endpoint.TRACE_UPDATE: Category.TRACE,
    Endpoint.LOG_GET: Category.LOGGING,
    Endpoint.LOG_UPDATE: Category.LOGGING,
}


def category_of_path(path: bytes) -> Category | None:
    """The part that a path of the REST protocol is in, whatever the method; None for a path that leads nowhere."""
    for method in (b"GET", b"POST"):
        route = match(method, path)
        if isinstance(route, Route):
            return _ENDPOINTS.get(route.endpoint)
    return None
