"""`@pyserve.model`: a plain typed function that can be deployed, and called in the kernel as before.

Owns what the decorator takes and the object it makes; the code is written by `writing`, its surroundings by inclusion.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.naming import check_model_name
from jupyter_pyserve.notebook.argument_types import TensorOption
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.config_text import ConfigOptions, write_config
from jupyter_pyserve.notebook.functions.annotations import facts_of
from jupyter_pyserve.notebook.functions.writing import beginning, describe, ending
from jupyter_pyserve.notebook.inclusion.prelude import compose
from jupyter_pyserve.notebook.kernel import cell_texts, make_resolver
from jupyter_pyserve.notebook.remote_model import Model
from jupyter_pyserve.notebook.source import ModelSource

if TYPE_CHECKING:
    from jupyter_pyserve.notebook.display import ServedModel

_DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOptions:
    """What the decorator was given."""

    name: str | None = None
    outputs: Sequence[str] = ()
    batch: bool = False
    max_batch_size: int = 0
    instances: int | None = None
    preferred_batch_size: Sequence[int] | None = None
    max_queue_delay_us: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


class ModelFunction:
    """A function that is a model, too."""

    def __init__(self, function: Callable[..., Any], options: FunctionOptions) -> None:
        self.name = options.name or function.__name__
        check_model_name(self.name)
        self.function = function
        self.options = options
        self.facts = facts_of(function, batch=options.batch, output_names=options.outputs)
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        how = ", ".join(
            word for word, holds in (("batched", self.options.batch), ("streaming", self.facts.streams)) if holds
        )
        deploy = f"%pyserve deploy {self.name}, or .deploy()"
        return f"<pyserve model '{self.name}' {describe(self.facts)}{f', {how}' if how else ''}: {deploy}>"

    def model_source(self) -> ModelSource:
        """The model.py, as other cells are now."""
        function = self.function
        texts = cell_texts()
        name = function.__name__
        definition = texts.definition(name, function.__code__.co_filename, function.__code__.co_firstlineno)
        if definition is None:
            raise PyServeError(
                Code.INVALID_ARG, f"the source of function '{name}' can't be found: define it at the top of a cell"
            )
        resolver = make_resolver(texts)
        resolver.postponed = True
        resolver.require(name, definition)
        below = ending(name, self.facts, batch=self.options.batch)
        return compose(definition.label, resolver, below, beginning(self.name, name, self.facts))

    @property
    def model_py(self) -> str:
        """The text of the model.py that is deployed."""
        return self.model_source().text

    @property
    def config_pbtxt(self) -> str:
        """The text of the config.pbtxt that is deployed."""
        options = self.options

        def tensors(specs: Sequence[Any]) -> tuple[TensorOption, ...]:
            return tuple(
                TensorOption(name=item.name, data_type=item.data_type, dims=item.dims, optional=item.optional)
                for item in specs
            )

        return write_config(
            self.name,
            ConfigOptions(
                inputs=tensors(self.facts.inputs),
                outputs=tensors(self.facts.outputs),
                max_batch_size=options.max_batch_size,
                instances=options.instances,
                dynamic_batching=options.batch,
                preferred_batch_size=options.preferred_batch_size,
                max_queue_delay_us=options.max_queue_delay_us,
                decoupled=self.facts.streams,
                parameters=options.parameters,
            ),
        )

    def deploy(self, *, wait_s: float | None = None) -> ServedModel:
        """Put it into service."""
        from jupyter_pyserve.notebook.api import deploy

        return deploy(self, wait_s=wait_s)


@overload
def model(target: str, version: str | int | None = None) -> Model: ...
@overload
def model(target: Callable[..., Any]) -> ModelFunction: ...
@overload
def model(
    *,
    name: str | None = None,
    outputs: Sequence[str] = (),
    batch: bool | None = None,
    max_batch_size: int | None = None,
    instances: int | None = None,
    preferred_batch_size: Sequence[int] | None = None,
    max_queue_delay_us: int | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], ModelFunction]: ...
def model(
    target: str | Callable[..., Any] | None = None,
    version: str | int | None = None,
    *,
    batch: bool | None = None,
    max_batch_size: int | None = None,
    parameters: Mapping[str, str] | None = None,
    **options: Any,
) -> Any:
    """`model("name")(INPUT0=x)`: a served model as a callable. `@model` on a typed function: a model to deploy.

    With `max_batch_size`, or `batch=True`, requests are stacked along a first dimension that the annotations don't
    name, the function is called once for all of them, and what it returns is split again.
    """
    if isinstance(target, str):
        return default_client().model(target, version)
    is_batch = batch if batch is not None else bool(max_batch_size)
    if max_batch_size and not is_batch:
        raise PyServeError(Code.INVALID_ARG, "max_batch_size says that requests are stacked, and batch=False that not")
    size = max_batch_size or _DEFAULT_BATCH_SIZE if is_batch else 0
    made = FunctionOptions(batch=is_batch, max_batch_size=size, parameters=dict(parameters or {}), **options)
    if target is not None:
        return ModelFunction(target, made)
    return lambda function: ModelFunction(function, made)


model.__pyserve_decorator__ = True  # type: ignore[attr-defined]
