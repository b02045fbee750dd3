"""The methods of the inference service other than inference, one short function each; and the health service's.

A function gets the service, the request's message and the module of all messages, and returns the response's message,
or its bytes.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.protobuf_settings import log_changes, log_response, trace_changes, trace_response

Function = Callable[[Service, Any, Any], Any]

SERVICE: Final = "/inference.GRPCInferenceService/"
_HEALTH: Final = "/grpc.health.v1.Health/"

#: What of a version is looked at.
_NUMBER: Final = re.compile(r"\s*\+?(-?[0-9]+)")
_SERVING: Final = {True: b"\x08\x01", False: b"\x08\x02"}


async def _health(service: Service, request: Any, messages: Any) -> bytes:
    """A HealthCheckResponse, whichever service was asked for."""
    return _SERVING[await service.is_server_ready()]


def check_version(text: str) -> str:
    """The version that a client asks for; what is wrong with other texts is said where they are looked up."""
    found = _NUMBER.match(text)
    if found is None:
        return text
    if found[1].startswith("-"):
        message = f"invalid model version specified '{text}' , version should be an integral value > 0"
        raise PyServeError(Code.INVALID_ARG, message)
    return found[1]


def _filled(response: Any, tree: Mapping[str, Any]) -> Any:
    """A message from its JSON tree, which has the same names."""
    from google.protobuf.json_format import ParseDict

    return ParseDict(tree, response)


def _server_live(service: Service, request: Any, messages: Any) -> Any:
    return messages.ServerLiveResponse(live=True)


async def _server_ready(service: Service, request: Any, messages: Any) -> Any:
    return messages.ServerReadyResponse(ready=await service.is_server_ready())


async def _model_ready(service: Service, request: Any, messages: Any) -> Any:
    ready = await service.is_model_ready(request.name, check_version(request.version))
    return messages.ModelReadyResponse(ready=ready)


def _server_metadata(service: Service, request: Any, messages: Any) -> Any:
    return messages.ServerMetadataResponse(
        name=service.settings.server_id, version=service.version, extensions=metadata.EXTENSIONS
    )


def _model_metadata(service: Service, request: Any, messages: Any) -> Any:
    loaded, versions = service.ready_versions(request.name, check_version(request.version))
    platform = loaded.config.platform or loaded.config.backend
    tree = metadata.model_metadata_dict(loaded.signature, versions=versions, platform=platform)
    return _filled(messages.ModelMetadataResponse(), tree)


def _model_config(service: Service, request: Any, messages: Any) -> Any:
    loaded = service.lookup(request.name, check_version(request.version))
    return _filled(messages.ModelConfigResponse(), {"config": loaded.config.to_json_dict()})


def _model_statistics(service: Service, request: Any, messages: Any) -> Any:
    rows = service.statistics(request.name, check_version(request.version))
    return _filled(messages.ModelStatisticsResponse(), {"model_stats": rows})


def _index(service: Service, request: Any, messages: Any) -> Any:
    _require_no_repository(request)
    rows = metadata.index_rows((metadata.IndexRow(**row) for row in service.index()), ready_only=request.ready)
    return _filled(messages.RepositoryIndexResponse(), {"models": rows})


async def _load(service: Service, request: Any, messages: Any) -> Any:
    _require_no_repository(request)
    config: str | None = None
    files: dict[str, bytes] = {}
    for name, parameter in request.parameters.items():
        if name == "config":
            config = _parameter("load parameter ", name, parameter, "string_param")
        elif name.startswith("file:"):
            files[name.removeprefix("file:")] = _parameter("load parameter ", name, parameter, "bytes_param")
        else:
            raise PyServeError(Code.INVALID_ARG, f"unrecognized load parameter '{name}'.")
    await service.load(request.model_name, config=config, files=files)
    return messages.RepositoryModelLoadResponse()


async def _unload(service: Service, request: Any, messages: Any) -> Any:
    _require_no_repository(request)
    dependents = False
    if "unload_dependents" in request.parameters:
        given = request.parameters["unload_dependents"]
        dependents = _parameter("", "unload_dependents", given, "bool_param")
    await service.unload(request.model_name, unload_dependents=dependents)
    return messages.RepositoryModelUnloadResponse()


def _parameter(what: str, name: str, parameter: Any, kind: str) -> Any:
    if parameter.WhichOneof("parameter_choice") != kind:
        after = "" if what else " parameter"
        text = f"invalid value type for {what}'{name}'{after}, expected {kind}."
        raise PyServeError(Code.INVALID_ARG, text)
    return getattr(parameter, kind)


def _require_no_repository(request: Any) -> None:
    if request.repository_name:
        raise PyServeError(Code.UNSUPPORTED, "'repository_name' specification is not supported")


def _log_settings(service: Service, request: Any, messages: Any) -> Any:
    if request.settings:
        service.log.change(log_changes(request.settings, service.log.settings))
    return _filled(messages.LogSettingsResponse(), log_response(service.log.settings))


def _trace_setting(service: Service, request: Any, messages: Any) -> Any:
    if request.model_name:
        service.require_known_to_trace(request.model_name)
    settings = service.traces.of(request.model_name)
    if request.settings:
        changes = trace_changes(request.settings, service.traces.said(request.model_name))
        settings = service.traces.change(changes, request.model_name)
    return _filled(messages.TraceSettingResponse(), trace_response(settings))


def _system_shm_status(service: Service, request: Any, messages: Any) -> Any:
    answer = messages.SystemSharedMemoryStatusResponse()
    for row in service.regions.status(request.name):
        answer.regions[row["name"]].CopyFrom(messages.SystemSharedMemoryStatusResponse.RegionStatus(**row))
    return answer


def _system_shm_register(service: Service, request: Any, messages: Any) -> Any:
    service.regions.register(request.name, request.key, request.offset, request.byte_size)
    return messages.SystemSharedMemoryRegisterResponse()


def _system_shm_unregister(service: Service, request: Any, messages: Any) -> Any:
    service.regions.unregister(request.name)
    return messages.SystemSharedMemoryUnregisterResponse()


def _cuda_shm_status(service: Service, request: Any, messages: Any) -> Any:
    answer = messages.CudaSharedMemoryStatusResponse()
    for row in service.regions.cuda_status(request.name):
        answer.regions[row["name"]].CopyFrom(messages.CudaSharedMemoryStatusResponse.RegionStatus(**row))
    return answer


async def _cuda_shm_register(service: Service, request: Any, messages: Any) -> Any:
    await service.regions.register_cuda(request.name, request.raw_handle, request.device_id, request.byte_size)
    return messages.CudaSharedMemoryRegisterResponse()


async def _cuda_shm_unregister(service: Service, request: Any, messages: Any) -> Any:
    await service.regions.unregister_cuda(request.name)
    return messages.CudaSharedMemoryUnregisterResponse()


_GROUPS: Final = {
    "health": ("ServerLive", "ServerReady", "ModelReady"),
    "metadata": ("ServerMetadata", "ModelMetadata"),
    "inference": ("ModelInfer", "ModelStreamInfer"),
    "shared-memory": tuple(
        f"{kind}SharedMemory{verb}" for kind in ("System", "Cuda") for verb in ("Status", "Register", "Unregister")
    ),
    "model-config": ("ModelConfig",),
    "model-repository": ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"),
    "statistics": ("ModelStatistics",),
    "trace": ("TraceSetting",),
    "logging": ("LogSettings",),
}


def group_paths(group: str) -> tuple[str, ...]:
    """The methods of a group that can be restricted."""
    health = (_HEALTH + "Check",) if group == "health" else ()
    return (*(SERVICE + name for name in _GROUPS[group]), *health)


#: Method -> the name of its request's message (none where nothing of it matters), and its function.
METHODS: Final[Mapping[str, tuple[str, Function]]] = {
    _HEALTH + "Check": ("", _health),
    **{
        SERVICE + name: (f"{name}Request", function)
        for name, function in (
            ("ServerLive", _server_live),
            ("ServerReady", _server_ready),
            ("ModelReady", _model_ready),
            ("ServerMetadata", _server_metadata),
            ("ModelMetadata", _model_metadata),
            ("ModelConfig", _model_config),
            ("ModelStatistics", _model_statistics),
            ("RepositoryIndex", _index),
            ("RepositoryModelLoad", _load),
            ("RepositoryModelUnload", _unload),
            ("SystemSharedMemoryStatus", _system_shm_status),
            ("SystemSharedMemoryRegister", _system_shm_register),
            ("SystemSharedMemoryUnregister", _system_shm_unregister),
            ("CudaSharedMemoryStatus", _cuda_shm_status),
            ("CudaSharedMemoryRegister", _cuda_shm_register),
            ("CudaSharedMemoryUnregister", _cuda_shm_unregister),
            ("TraceSetting", _trace_setting),
            ("LogSettings", _log_settings),
        )
    },
}


def delayed(delay_s: float) -> Mapping[str, tuple[str, Function]]:
    """The same methods, whose answers take their time."""

    def slow(function: Function) -> Function:
        async def later(service: Service, request: Any, messages: Any) -> Any:
            await asyncio.sleep(delay_s)
            found = function(service, request, messages)
            return await found if inspect.isawaitable(found) else found

        return later

    return {path: (request, slow(function)) for path, (request, function) in METHODS.items()}
