"""What a Python model imports as `pb_utils`: Triton's surface, in any interpreter, with or without a server.

Importing it also makes the module `c_python_backend_utils`, where Triton keeps its native classes. Everything is there
at import already, so that a model module can be imported, and its `execute` called, from a plain test.
"""

import json
import struct
import sys
import types
from pathlib import Path as _Path

import numpy as np
from pyserve_stub import elements as _elements
from pyserve_stub import messages as _messages
from pyserve_stub import metric_family as _metric_family
from pyserve_stub import services as _services
from pyserve_stub import vocabulary as _vocabulary
from pyserve_stub.messages import InferenceRequest, InferenceResponse, PreferredMemory, Tensor, TritonError
from pyserve_stub.metric_family import MetricFamily
from pyserve_stub.model_config import ModelConfig
from pyserve_stub.services import Logger, is_model_ready, load_model, unload_model
from pyserve_stub.vocabulary import MemoryType as _MemoryType
from pyserve_stub.vocabulary import TritonModelException

__all__ = [
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "TRITON_STRING_TO_NUMPY",
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_model_dir",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "is_model_ready",
    "json",
    "load_model",
    "np",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "struct",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "unload_model",
    "using_decoupled_model_transaction_policy",
]

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = _vocabulary.FLAG_SEQUENCE_START
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = _vocabulary.FLAG_SEQUENCE_END
TRITONSERVER_RESPONSE_COMPLETE_FINAL = _vocabulary.RESPONSE_COMPLETE_FINAL
TRITONSERVER_REQUEST_RELEASE_ALL = _vocabulary.RELEASE_ALL
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = _vocabulary.RELEASE_RESCHEDULE
TRITONSERVER_MEMORY_GPU = _MemoryType.TRITONSERVER_MEMORY_GPU
TRITONSERVER_MEMORY_CPU = _MemoryType.TRITONSERVER_MEMORY_CPU

TRITON_STRING_TO_NUMPY = {
    "TYPE_BOOL": bool,
    "TYPE_UINT8": np.uint8,
    "TYPE_UINT16": np.uint16,
    "TYPE_UINT32": np.uint32,
    "TYPE_UINT64": np.uint64,
    "TYPE_INT8": np.int8,
    "TYPE_INT16": np.int16,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_FP64": np.float64,
    "TYPE_STRING": np.object_,
}

_TRITON_TO_NUMPY = dict(enumerate((np.bool_, *list(TRITON_STRING_TO_NUMPY.values())[1:]), start=1))


def serialize_byte_tensor(input_tensor):
    """The wire form of an object or bytes array; `()` for an empty one, None for one of any other dtype."""
    if input_tensor.size == 0:
        return ()
    if input_tensor.dtype.kind not in "OS":
        return None
    return bytes(_elements.encode_elements(input_tensor))


def deserialize_bytes_tensor(encoded_tensor):
    """The elements in wire form as a 1-D object array of bytes; raises struct.error when they don't fit."""
    if isinstance(encoded_tensor, str):
        raise TypeError("a bytes-like object is required, not 'str'")
    return _elements.decode_elements(encoded_tensor)


def get_input_tensor_by_name(inference_request, name):
    """The request's first input of that name, or None."""
    return _first_named(inference_request.inputs(), name)


def get_output_tensor_by_name(inference_response, name):
    """The response's first output of that name, or None."""
    return _first_named(inference_response.output_tensors(), name)


def _first_named(tensors, name):
    for tensor in tensors:
        if tensor.name() == name:
            return tensor
    return None


def get_input_config_by_name(model_config, name):
    """The entry of that input in a parsed configuration, or None."""
    return _entry_named(model_config, "input", name)


def get_output_config_by_name(model_config, name):
    """The entry of that output in a parsed configuration, or None."""
    return _entry_named(model_config, "output", name)


def _entry_named(model_config, side, name):
    if side not in model_config:
        return None
    return next((entry for entry in model_config[side] if entry["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config):
    """Whether a parsed configuration says that the model is decoupled."""
    if "model_transaction_policy" in model_config:
        return model_config["model_transaction_policy"]["decoupled"]
    return False


def triton_string_to_numpy(triton_type_string):
    """The numpy type of a configuration's `TYPE_X`; KeyError when there is none."""
    return TRITON_STRING_TO_NUMPY[triton_type_string]


def triton_to_numpy_type(data_type):
    """The numpy type of a datatype number, or None."""
    return _TRITON_TO_NUMPY.get(data_type)


def numpy_to_triton_type(data_type):
    """The datatype number of a numpy type or dtype, or None."""
    for number, numpy_type in _TRITON_TO_NUMPY.items():
        if data_type == numpy_type:
            return number
    return 13 if data_type == np.bytes_ else None


def get_model_dir():
    """The directory of the model's version; without a server, that of the calling module."""
    return str(_Path(sys._getframe(1).f_globals.get("__file__", "model.py")).resolve().parent)


def _make_native_module():
    """Triton's second module, as models import it, unless this interpreter is a Triton stub that has the real one."""
    name = _vocabulary.NATIVE_MODULE
    if name in sys.modules or name in sys.builtin_module_names:
        return
    module = types.ModuleType(name, "The native half of `triton_python_backend_utils`.")
    shared_memory = _services.SharedMemory.__new__(_services.SharedMemory)
    members = (
        (_messages, _messages.__all__),
        (_vocabulary, ("MemoryType", "MetricKind", "TritonModelException")),
        (_metric_family, ("Metric", "MetricFamily")),
        (_services, ("Logger", "SharedMemory", "async_event_future_done_callback")),
        (_services, ("is_model_ready", "load_model", "unload_model")),
    )
    vars(module).update((member, getattr(source, member)) for source, names in members for member in names)
    vars(module).update((member.name, member) for member in (*_vocabulary.MetricKind, *_MemoryType))
    vars(module)["shared_memory"] = shared_memory
    sys.modules[name] = module


_make_native_module()
