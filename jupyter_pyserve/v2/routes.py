"""Which endpoint a method and a path name: the whole route table of the REST protocol.

Paths are taken literally (no trailing slash) but for quoted names, the query string is dropped. Knows nothing of what
endpoints do, nor of headers.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes


class Endpoint(enum.Enum):
    """Everything a client can ask for over REST."""

    SERVER_LIVE = "server_live"
    SERVER_READY = "server_ready"
    SERVER_METADATA = "server_metadata"
    OPENAPI = "openapi"
    MODEL_METADATA = "model_metadata"
    MODEL_READY = "model_ready"
    MODEL_CONFIG = "model_config"
    MODEL_STATISTICS = "model_statistics"
    INFER = "infer"
    GENERATE = "generate"
    GENERATE_STREAM = "generate_stream"
    REPOSITORY_INDEX = "repository_index"
    REPOSITORY_LOAD = "repository_load"
    REPOSITORY_UNLOAD = "repository_unload"
    SYSTEM_SHM_STATUS = "system_shm_status"
    SYSTEM_SHM_REGISTER = "system_shm_register"
    SYSTEM_SHM_UNREGISTER = "system_shm_unregister"
    CUDA_SHM_STATUS = "cuda_shm_status"
    CUDA_SHM_REGISTER = "cuda_shm_register"
    CUDA_SHM_UNREGISTER = "cuda_shm_unregister"
    TRACE_GET = "trace_get"
    TRACE_UPDATE = "trace_update"
    LOG_GET = "log_get"
    LOG_UPDATE = "log_update"
    METRICS = "metrics"
    #: What else is asked of the metrics port, which answers with nothing.
    NO_METRICS = "no_metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An endpoint with the names that stood in its path; a name that was not given is empty.

    `in_words` is health with a body, for who says that it accepts one: KServe's SDK does, and reads it. To others a
    status is all, as on Triton.
    """

    endpoint: Endpoint
    model: str = ""
    version: str = ""
    region: str = ""
    repository: str = ""
    in_words: bool = False


class RouteError(enum.Enum):
    """Why a path leads nowhere; the answer is `{"error": message}` as text/plain."""

    NOT_FOUND = (404, "Not Found")
    METHOD_NOT_ALLOWED = (405, "Method Not Allowed")

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def message(self) -> str:
        return self.value[1]


_Methods = Mapping[bytes, Endpoint]


def _get(endpoint: Endpoint) -> _Methods:
    return {b"GET": endpoint}


def _post(endpoint: Endpoint) -> _Methods:
    return {b"POST": endpoint}


_TRACE: Final[_Methods] = {b"GET": Endpoint.TRACE_GET, b"POST": Endpoint.TRACE_UPDATE}

_FIXED: Final[Mapping[bytes, _Methods]] = {
    b"/v2": _get(Endpoint.SERVER_METADATA),
    b"/v2/openapi.json": _get(Endpoint.OPENAPI),
    b"/v2/health/live": _get(Endpoint.SERVER_LIVE),
    b"/v2/health/ready": _get(Endpoint.SERVER_READY),
    b"/v2/models/stats": _get(Endpoint.MODEL_STATISTICS),
    b"/v2/logging": {b"GET": Endpoint.LOG_GET, b"POST": Endpoint.LOG_UPDATE},
    b"/v2/trace/setting": _TRACE,
}

_MODEL_ACTIONS: Final[Mapping[bytes | None, _Methods]] = {
    None: _get(Endpoint.MODEL_METADATA),
    b"ready": _get(Endpoint.MODEL_READY),
    b"config": _get(Endpoint.MODEL_CONFIG),
    b"stats": _get(Endpoint.MODEL_STATISTICS),
    b"infer": _post(Endpoint.INFER),
    b"generate": _post(Endpoint.GENERATE),
    b"generate_stream": _post(Endpoint.GENERATE_STREAM),
    b"trace/setting": _TRACE,
}

_REPOSITORY_ACTIONS: Final[Mapping[bytes, _Methods]] = {
    b"index": _post(Endpoint.REPOSITORY_INDEX),
    b"load": _post(Endpoint.REPOSITORY_LOAD),
    b"unload": _post(Endpoint.REPOSITORY_UNLOAD),
}

_SHM_ACTIONS: Final[Mapping[tuple[bytes, bytes], _Methods]] = {
    (b"system", b"status"): _get(Endpoint.SYSTEM_SHM_STATUS),
    (b"system", b"register"): _post(Endpoint.SYSTEM_SHM_REGISTER),
    (b"system", b"unregister"): _post(Endpoint.SYSTEM_SHM_UNREGISTER),
    (b"cuda", b"status"): _get(Endpoint.CUDA_SHM_STATUS),
    (b"cuda", b"register"): _post(Endpoint.CUDA_SHM_REGISTER),
    (b"cuda", b"unregister"): _post(Endpoint.CUDA_SHM_UNREGISTER),
}

_MODEL = re.compile(
    rb"/v2/models/([^/]+)(?:/versions/([0-9]+))?"
    rb"(?:/(infer|generate|generate_stream|ready|config|stats|trace/setting))?"
)
_REPOSITORY = re.compile(rb"/v2/repository(?:/([^/]+))?/(?:(index)|models/([^/]+)/(load|unload))")
_SHM = re.compile(rb"/v2/(system|cuda)sharedmemory(?:/region/([^/]+))?/(status|register|unregister)")


def match(method: bytes, path: bytes) -> Route | RouteError:
    """Finds the endpoint; the path decides first (404), then the method (405)."""
    path = path.partition(b"?")[0]
    found = _find(path)
    if found is None:
        return RouteError.NOT_FOUND
    methods, names = found
    endpoint = methods.get(method)
    if endpoint is None:
        return RouteError.METHOD_NOT_ALLOWED
    given: dict[str, Any] = {key: _text(value) for key, value in names.items() if value is not None}
    return Route(endpoint=endpoint, **given)


def match_metrics(method: bytes, path: bytes) -> Route | RouteError:
    """Finds what the metrics port has: metrics, and for any other path an empty answer."""
    if method != b"GET":
        return RouteError.METHOD_NOT_ALLOWED
    found = path.partition(b"?")[0] in (b"/metrics", b"/metrics/")
    return Route(endpoint=Endpoint.METRICS if found else Endpoint.NO_METRICS)


def match_all(method: bytes, path: bytes) -> Route | RouteError:
    """Finds an endpoint of either port."""
    if path.partition(b"?")[0] == b"/metrics":
        return match_metrics(method, path)
    return match(method, path)


def _find(path: bytes) -> tuple[_Methods, Mapping[str, bytes | None]] | None:
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed, {}
    model = _MODEL.fullmatch(path)
    if model is not None:
        name, version, action = model.groups()
        if action == b"trace/setting" and version is not None:
            return None
        return _MODEL_ACTIONS[action], {"model": name, "version": version}
    repository = _REPOSITORY.fullmatch(path)
    if repository is not None:
        repo, index, name, action = repository.groups()
        return _REPOSITORY_ACTIONS[index or action], {"repository": repo, "model": name}
    shm = _SHM.fullmatch(path)
    if shm is not None:
        kind, region, action = shm.groups()
        return _SHM_ACTIONS[kind, action], {"region": region}
    return None


def _text(raw: bytes) -> str:
    # Clients quote names. One that is not UTF-8 names nothing we could hold; replaced characters keep texts printable.
    return unquote_to_bytes(raw).decode("utf-8", "replace")
