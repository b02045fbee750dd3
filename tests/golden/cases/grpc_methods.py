"""Every method of gRPC but inference: what it answers, and each way to get it wrong."""

from __future__ import annotations

from tests.golden.case import Call, Json

OPTIONS = ("--model-control-mode=explicit", "--load-model=minimal", "--load-model=versions", "--load-model=decoupled")
MODELS = ("minimal", "versions", "decoupled", "behave")

_SETTINGS = ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file")


def _call(name: str, method: str, /, **request: Json) -> Call:
    return Call(name=f"grpc_{name}", method=method, request=request)


def _of_model(method: str) -> tuple[Call, ...]:
    """A method that names a model and a version."""
    word = method.lower()
    return (
        _call(f"{word}", method, name="minimal"),
        _call(f"{word}_version", method, name="versions", version="1"),
        _call(f"{word}_unknown", method, name="nobody"),
        _call(f"{word}_nameless", method),
        _call(f"{word}_not_loaded", method, name="behave"),
        _call(f"{word}_unknown_version", method, name="minimal", version="7"),
        _call(f"{word}_version_text", method, name="minimal", version="x"),
        _call(f"{word}_version_negative", method, name="minimal", version="-1"),
        _call(f"{word}_version_huge", method, name="minimal", version="99999999999999999999"),
    )


def _trace(name: str, model: str = "", /, **settings: Json) -> Call:
    values = {key: {"value": value} for key, value in settings.items()}
    return _call(f"trace_{name}", "TraceSetting", model_name=model, settings=values)


def _log(name: str, /, **settings: Json) -> Call:
    return _call(f"log_{name}", "LogSettings", settings=settings)


def _load(name: str, model: str = "minimal", repository: str = "", /, **parameters: Json) -> Call:
    request: dict[str, Json] = {"repository_name": repository, "model_name": model, "parameters": parameters}
    return _call(f"load_{name}", "RepositoryModelLoad", **request)


def _unload(name: str, model: str, repository: str = "", /, **parameters: Json) -> Call:
    request: dict[str, Json] = {"repository_name": repository, "model_name": model, "parameters": parameters}
    return _call(f"unload_{name}", "RepositoryModelUnload", **request)


_ASKED = (
    _call("live", "ServerLive"),
    _call("ready", "ServerReady"),
    *(Call(name=f"grpc_health_{word}", method="/grpc.health.v1.Health/Check", raw=raw)
      for word, raw in (("server", b""), ("service", b"\n\x06nobody"))),
    Call(name="grpc_health_watch", method="/grpc.health.v1.Health/Watch"),
    Call(name="grpc_unknown_method", method="/inference.GRPCInferenceService/Nothing"),
    Call(name="grpc_unknown_service", method="/nobody.Nothing/ServerLive"),
    *_of_model("ModelReady"),
    *_of_model("ModelMetadata"),
    *_of_model("ModelConfig"),
    *_of_model("ModelStatistics"),
    _call("index", "RepositoryIndex"),
    _call("index_ready", "RepositoryIndex", ready=True),
    _call("index_of_repository", "RepositoryIndex", repository_name="x"),
)  # fmt: skip

_CHANGED = (
    _load("again"),
    _load("unknown", "nobody"),
    _load("nameless", ""),
    _load("of_repository", "minimal", "x"),
    _load("config_number", config={"int64_param": "3"}),
    _load("config_flag", config={"bool_param": True}),
    _load("config_empty", config={"string_param": ""}),
    _load("config_not_json", config={"string_param": "{bad"}),
    _load("config_unset", config={}),
    _load("file_text", **{"file:1/model.py": {"string_param": "x"}}),
    _load("file_without_config", **{"file:1/model.py": {"bytes_param": "eA=="}}),
    _load("unknown_parameter", foo={"string_param": "x"}),
    _unload("of_repository", "minimal", "x"),
    _unload("unknown", "nobody"),
    _unload("dependents_text", "minimal", unload_dependents={"string_param": "true"}),
    _unload("dependents", "decoupled", unload_dependents={"bool_param": True}),
    _unload("unknown_parameter", "nobody", foo={"string_param": "x"}),
)

_SET = (
    _trace("settings"),
    _trace("of_model", "minimal"),
    _trace("of_nobody", "nobody"),
    _trace("levels_off_and_on", trace_level=["OFF", "TIMESTAMPS"]),
    _trace("level_unknown", trace_level=["FOO"]),
    _trace("level_without_file", trace_level=["TIMESTAMPS"]),
    *(_trace(f"two_{name}", **{name: ["1", "2"]}) for name in _SETTINGS if name != "trace_level"),
    *(_trace(f"text_{name}", **{name: ["abc"]}) for name in _SETTINGS if name != "trace_level"),
    _trace("rate_too_large", trace_rate=["4294967296"]),
    _trace("rate", trace_rate=["5"]),
    _trace("count_too_small", trace_count=["-2"]),
    _trace("model_rate", "minimal", trace_rate=["7"]),
    *(_trace(f"back_{name}", **{name: []}) for name in _SETTINGS),
    _trace("unknown_setting", colour=["red"]),
    _log("settings"),
    _log("info_text", log_info={"string_param": "x"}),
    _log("warning_number", log_warning={"uint32_param": 1}),
    _log("error_text", log_error={"string_param": "x"}),
    _log("verbose_flag", log_verbose_level={"bool_param": True}),
    _log("format_number", log_format={"uint32_param": 1}),
    _log("format_unknown", log_format={"string_param": "zz"}),
    _log("format", log_format={"string_param": "ISO8601"}),
    _log("format_back", log_format={"string_param": "default"}),
    _log("file", log_file={"string_param": "x"}),
    _log("file_number", log_file={"uint32_param": 1}),
    _log("unknown_setting", colour={"string_param": "x"}),
)


def _shared(name: str, method: str, /, **request: Json) -> Call:
    return _call(f"shm_{name}", method, **request)


_MEMORY = (
    _shared("system_status", "SystemSharedMemoryStatus"),
    _shared("system_status_unknown", "SystemSharedMemoryStatus", name="r"),
    _shared("system_nothing", "SystemSharedMemoryRegister"),
    _shared("system_no_such_key", "SystemSharedMemoryRegister", name="r", key="/nobody-has-this", byte_size="4"),
    _shared("system_unregister_unknown", "SystemSharedMemoryUnregister", name="r"),
    _shared("system_unregister_all", "SystemSharedMemoryUnregister"),
    _shared("cuda_status", "CudaSharedMemoryStatus"),
    _shared("cuda_status_unknown", "CudaSharedMemoryStatus", name="r"),
    _shared("cuda_nothing", "CudaSharedMemoryRegister"),
    _shared("cuda_bad_handle", "CudaSharedMemoryRegister", name="r", raw_handle="eA==", byte_size="4"),
    _shared("cuda_unregister_unknown", "CudaSharedMemoryUnregister", name="r"),
    _shared("cuda_unregister_all", "CudaSharedMemoryUnregister"),
)

CASES = (*_ASKED, *_CHANGED, *_SET, *_MEMORY)
