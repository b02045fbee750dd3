"""Does what the request says: PROBE is an expression to be looked at, SCRIPT the body of an execute()."""

import ast
import asyncio
import ctypes
import gc
import json
import os
import pickle
import sys
import textwrap
import threading
import time
import weakref

import c_python_backend_utils as native
import numpy as np
import triton_python_backend_utils as pb_utils

if not np.__version__.startswith("1."):
    np.set_printoptions(legacy="1.25")  # numbers in error texts read the same whatever the version


def describe(value):
    """A text that is the same for equal values, in every process and with every numpy."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)} {value.tolist()}"
    if isinstance(value, np.generic):
        return f"{type(value).__name__} {value.item()!r}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(describe, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(describe, value))) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{describe(key)}: {describe(item)}" for key, item in value.items()) + "}"
    if isinstance(value, pb_utils.Tensor):
        return f"<{value.name()} {describe(value.as_numpy())}>"
    if isinstance(value, pb_utils.TritonError):
        return f"<{value.code()!r} {value.message()!r}>"
    if isinstance(value, pb_utils.InferenceResponse):
        return describe(value.error() if value.has_error() else value.output_tensors())
    return repr(value)


def outcome(function, *args, **kwargs):
    """What came of a call, as text."""
    try:
        return describe(function(*args, **kwargs))
    except BaseException as error:  # the kind is what is asked for
        return f"raises {describe(error)}"


def tell(*values):
    """A response that says the values."""
    texts = [value if isinstance(value, str) else describe(value) for value in values]
    return pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", np.array(texts, object))])


def number(value):
    """A response that is a number."""
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([value], np.float32))])


def call(model, *inputs, outputs=("OUT",), **kwargs):
    """A BLS request."""
    tensors = [pb_utils.Tensor(name, np.asarray(array)) for name, array in inputs]
    return pb_utils.InferenceRequest(model_name=model, inputs=tensors, requested_output_names=list(outputs), **kwargs)


def ask(script, model="callee", **kwargs):
    """A BLS request to another scripted model."""
    kwargs.setdefault("outputs", ("TEXT",))
    return call(model, ("SCRIPT", np.array([script], object)), **kwargs)


NAMES = dict(globals())


def probed(source, **names):
    """The outcome of the last expression, after the statements before it."""
    tree = ast.parse(textwrap.dedent(source).strip())
    last = ast.Expression(tree.body.pop().value)
    scope = {**NAMES, **names}
    try:
        exec(compile(tree, "<probe>", "exec"), scope)
        value = eval(compile(last, "<probe>", "eval"), scope)
        return describe(value)
    except BaseException as error:  # the kind is what is asked for
        return f"raises {describe(error)}"
    finally:
        scope.clear()


def scripted(source, kind="def"):
    """The function whose body is the source."""
    scope = dict(NAMES)
    body = textwrap.indent(textwrap.dedent(source).strip(), " ")
    exec(compile(f"{kind} execute(self, requests, request):\n{body}", "<script>", "exec"), scope)
    return scope["execute"]


class TritonPythonModel:
    def initialize(self, args):
        self.args = args
        self.kept = {}

    def execute(self, requests):
        probe = pb_utils.get_input_tensor_by_name(requests[0], "PROBE")
        if probe is not None:
            texts = [probed(text.decode(), self=self, request=requests[0]) for text in probe.as_numpy()]
            return [tell(*texts)]
        source = pb_utils.get_input_tensor_by_name(requests[0], "SCRIPT").as_numpy().flatten()[0].decode()
        return scripted(source)(self, requests, requests[0])
