"""What a function's annotations say of its tensors: `Tensor["FP32", -1, 3]`, `NDArray[np.float32]`, `str`, `list[int]`.

Values only: reads annotations, writes no code and talks to nobody.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jupyter_pyserve.errors import Code, PyServeError

#: How a function sees a tensor: as an array of its shape, as a row of values (an array or a list), or as one value.
Form = Literal["tensor", "row", "list", "value"]
Result = Literal["single", "tuple", "fields", "keys"]

_NUMPY = {
    "BOOL": "bool_",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    **{f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
_DATATYPES = {value.rstrip("_"): key for key, value in _NUMPY.items()}
_PYTHON: dict[object, str] = {bool: "BOOL", int: "INT64", float: "FP64", str: "STRING", bytes: "BYTES"}
_STREAMS = (
    *(collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator),
    *(collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator),
)
_FORMS = 'Tensor["FP32", -1, 224], NDArray[np.float32], float, int, bool, str, bytes or a list of one of these'


@dataclass(frozen=True, slots=True)
class TensorType:
    """`Tensor["FP32", -1, 224]`."""

    datatype: str
    dims: tuple[int, ...]


class Tensor:
    """An annotation: `Tensor["FP32", -1, 224]` is an array of float32 with any number of rows of 224.

    Datatypes are the protocol's (FP32, INT64, BOOL, BYTES, ...); -1 is any size. With batching, the dimension of the
    batch comes before these and is not named.
    """

    def __class_getitem__(cls, item: object) -> TensorType:
        datatype, *dims = item if isinstance(item, tuple) else (item, -1)
        known = isinstance(datatype, str) and (datatype in _NUMPY or datatype == "BYTES")
        if not known or not all(isinstance(size, int) and size != 0 and size >= -1 for size in dims):
            raise PyServeError(
                Code.INVALID_ARG,
                f'Tensor{list(item) if isinstance(item, tuple) else [item]} is not like Tensor["FP32", -1, 224]; '
                f"datatypes are {', '.join([*_NUMPY, 'BYTES'])}",
            )
        return TensorType(str(datatype), tuple(dims) or (-1,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One input or output. `datatype` is BYTES for what is bytes to the function, STRING for what is text."""

    name: str
    datatype: str
    dims: tuple[int, ...]
    form: Form
    optional: bool = False
    #: How what the function returns calls an output.
    member: str = ""

    @property
    def data_type(self) -> str:
        """As config.pbtxt calls it."""
        return "STRING" if self.datatype in ("BYTES", "STRING") else self.datatype

    @property
    def numpy_name(self) -> str:
        return f"numpy.{_NUMPY[self.datatype]}" if self.datatype in _NUMPY else "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFacts:
    """What a function takes and gives."""

    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    result: Result
    streams: bool
    is_async: bool


def facts_of(function: Callable[..., Any], *, batch: bool, output_names: Sequence[str] = ()) -> FunctionFacts:
    """Read a function's annotations; an error says which one is missing or unknown, and what may stand there."""
    name = function.__name__
    try:
        hints = inspect.get_annotations(function, eval_str=True)
    except Exception as error:  # whatever evaluating the user's text raises
        raise _error(name, f"its annotations can't be read: {type(error).__name__}: {error}") from error
    inputs = tuple(
        _input(name, parameter, hints, batch) for parameter in inspect.signature(function).parameters.values()
    )
    if not inputs:
        raise _error(name, "a model needs an input")
    if "return" not in hints or hints["return"] is None:
        raise _error(name, f"it doesn't say what it returns: -> {_FORMS}, or a NamedTuple of such")
    returned, streams = _streamed(hints["return"])
    members, result = _members(returned, name)
    names = output_names or list(members)
    if len(set(names)) != len(members) or len(names) != len(members):
        raise _error(name, f"it has {len(members)} outputs, and {len(set(names))} names for them")
    outputs = tuple(
        dataclasses.replace(_spec(name, shown, hint, batch), member=member)
        for shown, (member, hint) in zip(names, members.items())
    )
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if streams and batch:
        raise _error(name, "a model that answers any number of times can't have its requests stacked")
    return FunctionFacts(inputs=inputs, outputs=outputs, result=result, streams=streams, is_async=is_async)


def _input(function: str, parameter: inspect.Parameter, hints: Mapping[str, object], batch: bool) -> Spec:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise _error(function, f"'{parameter}' can't be an input: inputs have names")
    if parameter.name not in hints:
        raise _error(function, f"input '{parameter.name}' doesn't say what it is: {parameter.name}: {_FORMS}")
    spec = _spec(function, parameter.name, hints[parameter.name], batch)
    if parameter.default is parameter.empty:
        return spec
    if batch:
        raise _error(function, f"input '{parameter.name}' has a default: with batching, all requests have all inputs")
    return dataclasses.replace(spec, optional=True)


def _spec(function: str, name: str, hint: object, batch: bool) -> Spec:
    found = _tensor(hint)
    if found is None:
        raise _error(function, f"'{name}' is annotated with {hint!r}, which is none of {_FORMS}")
    datatype, dims, form = found
    if batch and form == "value":
        word = getattr(hint, "__name__", "float")
        raise _error(function, f"with batching, '{name}' is one value of each request: annotate it list[{word}]")
    if batch and form in ("row", "list"):
        dims = (1,)
    return Spec(name=name, datatype=datatype, dims=dims, form=form)


def _tensor(hint: object) -> tuple[str, tuple[int, ...], Form] | None:
    if isinstance(hint, TensorType):
        return hint.datatype, hint.dims, "tensor"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_array(origin) and len(arguments) == 2:
        scalar = (typing.get_args(arguments[1]) or (None,))[0]
        datatype = _scalar(scalar)
        return (datatype, (-1,), "row") if datatype is not None else None
    if origin is list:
        datatype = _scalar(arguments[0])
        return (datatype, (-1,), "list") if datatype is not None else None
    datatype = _scalar(hint)
    return (datatype, (1,), "value") if datatype is not None else None


def _scalar(kind: object) -> str | None:
    if isinstance(kind, type) and kind in _PYTHON:
        return _PYTHON[kind]
    if isinstance(kind, type) and kind.__module__ == "numpy":
        return _DATATYPES.get(kind.__name__.rstrip("_"))
    return None


def _is_array(origin: object) -> bool:
    return isinstance(origin, type) and origin.__module__ == "numpy" and origin.__name__ == "ndarray"


def _streamed(hint: object) -> tuple[object, bool]:
    if typing.get_origin(hint) in _STREAMS:
        return typing.get_args(hint)[0], True
    return hint, False


def _members(hint: object, function: str) -> tuple[dict[str, object], Result]:
    if typing.get_origin(hint) is tuple:
        arguments = typing.get_args(hint)
        if Ellipsis in arguments:
            raise _error(function, "a tuple of any length has no fixed outputs: name each of them")
        return {f"output_{number}": item for number, item in enumerate(arguments)}, "tuple"
    if isinstance(hint, type):
        if typing.is_typeddict(hint):
            return _annotations(hint), "keys"
        if dataclasses.is_dataclass(hint) or (issubclass(hint, tuple) and hasattr(hint, "_fields")):
            return _annotations(hint), "fields"
    if hint is dict or typing.get_origin(hint) is dict:
        raise _error(function, "a dict doesn't name its outputs: return a NamedTuple or a TypedDict")
    return {"output": hint}, "single"


def _annotations(kind: type) -> dict[str, object]:
    """Those of a class; a named tuple wraps what is text in references of its own."""
    known = vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else {}
    return {
        name: eval(hint.__forward_arg__, dict(known)) if isinstance(hint, typing.ForwardRef) else hint  # noqa: S307
        for name, hint in inspect.get_annotations(kind, eval_str=True).items()
    }


class FunctionError(PyServeError):
    """A function that can't be a model, shown as its text alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"PyServeError: {self.message}"]


def _error(function: str, text: str) -> FunctionError:
    return FunctionError(Code.INVALID_ARG, f"function '{function}' can't be a model: {text}")
