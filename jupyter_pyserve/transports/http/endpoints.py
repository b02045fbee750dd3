"""The endpoints of the v2 protocol other than inference, one short function each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.replies import TEXT, Reply
from jupyter_pyserve.v2 import metadata, openapi, sharedmemory
from jupyter_pyserve.v2.logsettings import log_settings, parse_log_update
from jupyter_pyserve.v2.repository import parse_index, parse_load, parse_unload
from jupyter_pyserve.v2.routes import Endpoint, Route
from jupyter_pyserve.v2.status import http_status
from jupyter_pyserve.v2.tracesettings import parse_trace_update, trace_settings

_METRICS_TYPE = b"text/plain; charset=utf-8"

Function = Callable[[Service, Route, bytes], Any]


def _server_live(service: Service, route: Route, body: bytes) -> Reply:
    return _healthy(route, "live")


def _server_ready(service: Service, route: Route, body: bytes) -> Any:
    if service.settings.strict_readiness and service.models_are_asked():
        return _later(service.is_server_ready(), lambda ready: _server_readiness(route, ready))
    return _server_readiness(route, service.server_ready())


def _server_readiness(route: Route, ready: bool) -> Reply:
    return _healthy(route, "ready") if ready else Reply(400, content_type=TEXT)


def _healthy(route: Route, what: str) -> Reply:
    return Reply(200, metadata.health(what)) if route.in_words else Reply(200, content_type=TEXT)


def _server_metadata(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, metadata.server_metadata(service.settings.server_id, service.version))


def _openapi(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, openapi.document(service.version))


def _model_ready(service: Service, route: Route, body: bytes) -> Any:
    if service.models_are_asked(route.model, route.version):
        return _later(service.is_model_ready(route.model, route.version), _model_readiness)
    try:
        return _model_readiness(service.model_ready(route.model, route.version))
    except PyServeError as error:
        return Reply(http_status(error.code), metadata.error(error.message), TEXT)


def _model_readiness(ready: bool) -> Reply:
    return Reply(200, content_type=TEXT) if ready else Reply(400, metadata.error("Model version not ready"), TEXT)


async def _later(found: Awaitable[bool], reply: Callable[[bool], Reply]) -> Reply:
    return reply(await found)


def _model_metadata(service: Service, route: Route, body: bytes) -> Reply:
    servable, versions = service.ready_versions(route.model, route.version)
    platform = servable.config.platform or servable.config.backend
    return Reply(200, metadata.model_metadata(servable.signature, versions=versions, platform=platform))


def _model_config(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, metadata.model_config(service.lookup(route.model, route.version).config.to_json_dict()))


def _model_statistics(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, metadata.statistics(service.statistics(route.model, route.version)))


def _index(service: Service, route: Route, body: bytes) -> Reply:
    ready = parse_index(body)
    return Reply(200, metadata.index((metadata.IndexRow(**row) for row in service.index()), ready_only=ready))


async def _load(service: Service, route: Route, body: bytes) -> Reply:
    _require_no_repository(route)
    request = parse_load(body)
    await service.load(route.model, config=request.config, files=request.files)
    return Reply(200)


async def _unload(service: Service, route: Route, body: bytes) -> Reply:
    _require_no_repository(route)
    await service.unload(route.model, unload_dependents=parse_unload(body))
    return Reply(200)


def _log_get(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, log_settings(service.log.settings))


def _log_update(service: Service, route: Route, body: bytes) -> Reply:
    service.log.change(parse_log_update(body, service.log.settings))
    return _log_get(service, route, body)


def _trace_get(service: Service, route: Route, body: bytes) -> Reply:
    if route.model:
        service.require_known_to_trace(route.model)
    return Reply(200, trace_settings(service.traces.of(route.model)))


def _trace_update(service: Service, route: Route, body: bytes) -> Reply:
    if route.model:
        service.require_known_to_trace(route.model)
    changes = parse_trace_update(body, service.traces.said(route.model))
    return Reply(200, trace_settings(service.traces.change(changes, route.model)))


def _system_shm_status(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, sharedmemory.status(service.regions.status(route.region)))


def _system_shm_register(service: Service, route: Route, body: bytes) -> Reply:
    service.regions.require_enabled()
    sharedmemory.require_name(route.region, "system")
    asked = sharedmemory.parse_system_register(body)
    service.regions.register(route.region, asked.key, asked.offset, asked.nbytes)
    return Reply(200)


def _system_shm_unregister(service: Service, route: Route, body: bytes) -> Reply:
    service.regions.unregister(route.region)
    return Reply(200)


def _cuda_shm_status(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, sharedmemory.status(service.regions.cuda_status(route.region)))


async def _cuda_shm_register(service: Service, route: Route, body: bytes) -> Reply:
    service.regions.require_enabled()
    sharedmemory.require_name(route.region, "cuda")
    asked = sharedmemory.parse_cuda_register(body)
    await service.regions.register_cuda(route.region, asked.handle, asked.device, asked.nbytes)
    return Reply(200)


async def _cuda_shm_unregister(service: Service, route: Route, body: bytes) -> Reply:
    await service.regions.unregister_cuda(route.region)
    return Reply(200)


async def _metrics(service: Service, route: Route, body: bytes) -> Reply:
    """In a task of its own, since it takes in frames of stubs, and this request may have come by the way of one."""
    return Reply(200, (await service.metrics()).encode("utf-8", "replace"), _METRICS_TYPE)


def _no_metrics(service: Service, route: Route, body: bytes) -> Reply:
    return Reply(200, content_type=_METRICS_TYPE)


def _require_no_repository(route: Route) -> None:
    if route.repository:
        raise PyServeError(Code.UNSUPPORTED, "'repository_name' specification is not supported")


ENDPOINTS: Mapping[Endpoint, Function] = {
    Endpoint.SERVER_LIVE: _server_live,
    Endpoint.SERVER_READY: _server_ready,
    Endpoint.SERVER_METADATA: _server_metadata,
    Endpoint.OPENAPI: _openapi,
    Endpoint.MODEL_READY: _model_ready,
    Endpoint.MODEL_METADATA: _model_metadata,
    Endpoint.MODEL_CONFIG: _model_config,
    Endpoint.MODEL_STATISTICS: _model_statistics,
    Endpoint.REPOSITORY_INDEX: _index,
    Endpoint.REPOSITORY_LOAD: _load,
    Endpoint.REPOSITORY_UNLOAD: _unload,
    Endpoint.LOG_GET: _log_get,
    Endpoint.LOG_UPDATE: _log_update,
    Endpoint.TRACE_GET: _trace_get,
    Endpoint.TRACE_UPDATE: _trace_update,
    Endpoint.SYSTEM_SHM_STATUS: _system_shm_status,
    Endpoint.SYSTEM_SHM_REGISTER: _system_shm_register,
    Endpoint.SYSTEM_SHM_UNREGISTER: _system_shm_unregister,
    Endpoint.CUDA_SHM_STATUS: _cuda_shm_status,
    Endpoint.CUDA_SHM_REGISTER: _cuda_shm_register,
    Endpoint.CUDA_SHM_UNREGISTER: _cuda_shm_unregister,
    Endpoint.METRICS: _metrics,
    Endpoint.NO_METRICS: _no_metrics,
}


def call(service: Service, route: Route, body: bytes) -> Any:
    """Answer a request; what this server does not have yet is refused as unsupported."""
    function = ENDPOINTS.get(route.endpoint)
    if function is None:
        raise PyServeError(Code.UNSUPPORTED, f"{route.endpoint.value} is not supported by this server")
    return function(service, route, body)
