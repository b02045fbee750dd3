"""Where a model's config.pbtxt comes from: options, a cell of its own, a file, or the class itself.

Decides and words the errors; the text is written by `model.config`. Reads one file when it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.argument_types import TensorOption
from jupyter_pyserve.notebook.source import SourceFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOptions:
    """What the options of `%%pyserve model`, or the arguments of `deploy`, say about a model."""

    inputs: Sequence[TensorOption] = ()
    outputs: Sequence[TensorOption] = ()
    max_batch_size: int | None = None
    instances: int | None = None
    kind: str | None = None
    dynamic_batching: bool = False
    preferred_batch_size: Sequence[int] | None = None
    max_queue_delay_us: int | None = None
    decoupled: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self == ConfigOptions()


def config_for(name: str, options: ConfigOptions, facts: SourceFacts, *, written: str | None = None) -> str:
    """The text to deploy: options if there are any, else what a config cell or file gave, else the class's own."""
    if options.is_empty and written is not None:
        return written
    if not options.inputs and not options.outputs and facts.has_auto_complete is False:
        raise PyServeError(
            Code.INVALID_ARG,
            f"nothing says which inputs and outputs model '{name}' has. Any one of these does:\n"
            f"  %%pyserve model {name} --input INPUT0:FP32:-1 --output OUTPUT0:FP32:-1\n"
            f"  a cell %%pyserve config {name} that holds a config.pbtxt, or --config FILE\n"
            "  a static method auto_complete_config in the class",
        )
    return write_config(name, options)


def write_config(name: str, options: ConfigOptions) -> str:
    """A readable config.pbtxt."""
    from jupyter_pyserve.model.config import build_config

    return build_config(
        name=name,
        inputs=options.inputs,
        outputs=options.outputs,
        max_batch_size=options.max_batch_size,
        instances=options.instances,
        kind=options.kind,
        dynamic_batching=options.dynamic_batching,
        preferred_batch_size=options.preferred_batch_size,
        max_queue_delay_us=options.max_queue_delay_us,
        decoupled=options.decoupled,
        parameters=options.parameters,
    )


def read_config_file(path: str | Path) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PyServeError(Code.INVALID_ARG, f"config file '{path}' can't be read: {error}") from error
