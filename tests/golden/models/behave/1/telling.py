"""TEXT says what the model can see of its request."""

import numpy as np
import triton_python_backend_utils as pb_utils


def _tell(*texts):
    return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array([str(text) for text in texts], object))])]


def parameters(requests):
    return _tell(requests[0].parameters())


def request_id(requests):
    return _tell(requests[0].request_id())


def correlation_id(requests):
    value = requests[0].correlation_id()
    return _tell(type(value).__name__, value)


def flags(requests):
    return _tell(requests[0].flags())


def timeout(requests):
    return _tell(requests[0].timeout())


def requested(requests):
    names = requests[0].requested_output_names()
    return _tell(type(names).__name__, *sorted(names))


def cancelled(requests):
    return _tell(requests[0].is_cancelled())


def inputs(requests):
    (tensor,) = requests[0].inputs()
    array = tensor.as_numpy()
    return _tell(tensor.name(), tensor.shape(), array.dtype, array.flags.writeable, tensor.is_cpu(), repr(array[0]))


def model_dir(requests):
    return _tell(pb_utils.get_model_dir())
