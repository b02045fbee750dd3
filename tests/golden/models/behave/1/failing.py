"""Ways to fail: exceptions, wrong return values, error responses."""

import sys

import numpy as np
import triton_python_backend_utils as pb_utils


class CustomError(Exception):
    def __str__(self):
        return "made by hand"


def _response():
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([1], np.float32))])


def _error(code):
    return [pb_utils.InferenceResponse([], pb_utils.TritonError("told you", code))]


def value_error(requests):
    raise ValueError("boom")


def bare_value_error(requests):
    raise ValueError


def custom_error(requests):
    raise CustomError


def key_error(requests):
    return {}["missing"]


def chained(requests):
    try:
        return {}["missing"]
    except KeyError as error:
        raise RuntimeError("outer") from error


def nested(requests):
    return value_error(requests)


def quoted(requests):
    raise ValueError('"quotes"\ttab \\ backslash ✓ é')


def system_exit(requests):
    sys.exit(3)


def keyboard_interrupt(requests):
    raise KeyboardInterrupt


def model_exception(requests):
    raise pb_utils.TritonModelException("model says no")


def raised_triton_error(requests):
    raise pb_utils.TritonError("not an exception")


def syntax_error(requests):
    compile("a b", "made_up.py", "exec")


def return_tuple(requests):
    return (_response(),)


def return_response(requests):
    return _response()


def return_dict(requests):
    return {"OUT": 1}


def return_text(requests):
    return "OUT"


def return_nothing_in_list(requests):
    return []


def return_too_many(requests):
    return [_response(), _response()]


def return_text_element(requests):
    return ["OUT"]


def return_tensor_element(requests):
    return [pb_utils.Tensor("OUT", np.array([1], np.float32))]


def error_default(requests):
    return [pb_utils.InferenceResponse(error=pb_utils.TritonError("told you"))]


def error_unknown(requests):
    return _error(pb_utils.TritonError.UNKNOWN)


def error_internal(requests):
    return _error(pb_utils.TritonError.INTERNAL)


def error_not_found(requests):
    return _error(pb_utils.TritonError.NOT_FOUND)


def error_invalid_arg(requests):
    return _error(pb_utils.TritonError.INVALID_ARG)


def error_unavailable(requests):
    return _error(pb_utils.TritonError.UNAVAILABLE)


def error_unsupported(requests):
    return _error(pb_utils.TritonError.UNSUPPORTED)


def error_already_exists(requests):
    return _error(pb_utils.TritonError.ALREADY_EXISTS)


def error_cancelled(requests):
    return _error(pb_utils.TritonError.CANCELLED)


def error_empty(requests):
    return [pb_utils.InferenceResponse([], pb_utils.TritonError(""))]


def error_with_outputs(requests):
    output = pb_utils.Tensor("OUT", np.array([1], np.float32))
    return [pb_utils.InferenceResponse([output], pb_utils.TritonError("error wins"))]


def complex_tensor(requests):
    return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([1j]))])]


def unicode_tensor(requests):
    return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array(["text"]))])]


def big_endian_tensor(requests):
    return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([1], ">f4"))])]


def nameless_tensor(requests):
    return [pb_utils.InferenceResponse([pb_utils.Tensor("", np.array([1], np.float32))])]


def empty_output_tensor(requests):
    return [pb_utils.InferenceResponse([None])]
