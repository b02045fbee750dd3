"""Deploying and looking after models from Python: what the magics do, as functions with return values.

Composes source, configuration, control and views; knows no IPython beyond asking which cell a class came from.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.naming import check_model_name
from jupyter_pyserve.notebook import figures, sharing
from jupyter_pyserve.notebook.argument_types import TensorOption, tensor
from jupyter_pyserve.notebook.arrays import Array
from jupyter_pyserve.notebook.client import Client, default_client
from jupyter_pyserve.notebook.config_text import ConfigOptions, config_for
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.debugging import origins
from jupyter_pyserve.notebook.deployment import Deployment
from jupyter_pyserve.notebook.display import EngineView, ModelList, ServedModel
from jupyter_pyserve.notebook.exporting import config_text, write_model
from jupyter_pyserve.notebook.failures import DeployError, error_of_event, model_syntax_error
from jupyter_pyserve.notebook.functions.decorator import ModelFunction
from jupyter_pyserve.notebook.kernel import written
from jupyter_pyserve.notebook.payloads import DeployEvent, Origin
from jupyter_pyserve.notebook.reading import read_config, read_source
from jupyter_pyserve.notebook.source import ModelSource, SourceFacts, check_source

EventHandler = Callable[[DeployEvent], None]
_KERNEL_FILE = re.compile(r"kernel-(?P<id>[\w-]+)\.json$")


def deploy(
    source: str | os.PathLike[str] | type | ModelFunction,
    name: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    inputs: Iterable[str | TensorOption] = (),
    outputs: Iterable[str | TensorOption] = (),
    max_batch_size: int | None = None,
    instances: int | None = None,
    kind: str | None = None,
    dynamic_batching: bool = False,
    preferred_batch_size: Sequence[int] | None = None,
    max_queue_delay_us: int | None = None,
    decoupled: bool = False,
    parameters: Mapping[str, str] | None = None,
    include: bool = True,
    wait_s: float | None = None,
) -> ServedModel:
    """Put a model into service: a class or function of this kernel, a text of a model.py, a file, or a model directory.

    `config` is a config.pbtxt, as text or as a path; the other options write one. A class takes along what it uses of
    other cells, unless `include` is false. Returns when the model serves.
    """
    options = ConfigOptions(
        inputs=tuple(_tensor(item) for item in inputs),
        outputs=tuple(_tensor(item) for item in outputs),
        max_batch_size=max_batch_size,
        instances=instances,
        kind=kind,
        dynamic_batching=dynamic_batching,
        preferred_batch_size=preferred_batch_size,
        max_queue_delay_us=max_queue_delay_us,
        decoupled=decoupled,
        parameters=dict(parameters or {}),
    )
    model_source, found_name, found_config = read_source(source, include=include)
    name = check_name(name or found_name or "")
    facts, doubts = check_model(model_source, name)
    for warning in doubts:
        warnings.warn(warning, stacklevel=2)
    written = read_config(config) if config is not None else found_config
    text = config_for(name, options, facts, written=written)
    client = default_client()
    served = follow(client, name, model_source, start(client, name, model_source, text), wait_s=wait_s)
    if served is None:
        raise DeployError(Code.UNAVAILABLE, f"model '{name}' is still loading after {wait_s} s", model=name)
    return served


def status(name: str | None = None) -> ServedModel | EngineView:
    """One model with its addresses, or the engine with all of them."""
    client = default_client()
    sharing.offer_again(client)
    found = Control(client.connection).status()
    if name is None:
        return EngineView(found)
    for info in found["models"]:
        if info["name"] == name:
            return ServedModel(info, found["engine"], client.address)
    raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")


def models() -> ModelList:
    """All models, one line each."""
    return ModelList(control().status())


def export(
    what: str | type | ModelFunction,
    directory: str | os.PathLike[str],
    name: str | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a model as a plain Triton model directory below `directory`, with the shared arrays that it asks for.

    `what` is the name of a model of this kernel or of a served one, or a class or function. Returns the model's path.
    """
    found = written(what) if isinstance(what, str) else None
    if found is not None:
        source, config, name = found[0], found[1], name or str(what)
    elif isinstance(what, str):
        source, config, name = *_deployed(what), name or what
    else:
        source, own_name, own_config = read_source(what)
        name = name or own_name or ""
        config = own_config or config_text(control().config(name))
    if "input" not in config:  # the model's own code says: a server that runs it has the whole
        config = config_text(control().config(name))
    return write_model(Path(directory), check_name(name), source.text, config, overwrite=overwrite)


def _deployed(name: str) -> tuple[ModelSource, str]:
    """What the engine serves under a name, as far as its model repository can be read from here."""
    asked = control()
    asked.model_status(name)
    for repository in asked.status()["engine"].get("repositories", []):
        if (Path(repository) / name).is_dir():
            source, _, config = read_source(Path(repository) / name)
            return source, config or ""
    raise PyServeError(Code.NOT_FOUND, f"the files of model '{name}' are not on this machine")


def share(name: str, array: object) -> Array:
    """Let models map `array` instead of copying it: `shared(name)` of `pyserve_share` is it. Returns the one copy.

    The same name again makes a new generation, for what is loaded from then on.
    """
    return sharing.share(default_client(), name, array)


def unshare(name: str) -> None:
    """Stop sharing an array; models that have mapped it keep it until they are unloaded."""
    sharing.unshare(default_client(), name)


def start(client: Client, name: str, source: ModelSource, config: str | None) -> Deployment:
    """Hand a checked source to the engine; the deployment then goes on by itself."""
    sharing.offer_again(client)
    origins.remember(source)
    stream = Control(client.connection).deploy(name, source.text, config, _origin(source))
    return Deployment(stream)


def follow(
    client: Client,
    name: str,
    source: ModelSource,
    deployment: Deployment,
    *,
    wait_s: float | None = None,
    on_event: EventHandler | None = None,
) -> ServedModel | None:
    """Wait for the end of a deployment: the model, its error raised, or None when `wait_s` was over first."""
    for event in deployment.events(wait_s):
        if event["event"] == "progress":
            if on_event is not None:
                on_event(event)
            continue
        return served_of_event(client, name, source, event)
    return None


def served_of_event(client: Client, name: str, source: ModelSource, event: DeployEvent) -> ServedModel:
    """What a deployment's last event says, as the model's view or as the exception."""
    if event["event"] == "error":
        raise error_of_event(name, source, event)
    engine = Control(client.connection).status()["engine"]
    note = "unchanged" if event.get("unchanged") else ""
    if not note and "elapsed_ms" in event:
        note = f"in {figures.milliseconds(event['elapsed_ms'])}"
    return ServedModel(event["model"], engine, client.address, note=note)


def check_name(name: str) -> str:
    """A name that a model may have, or Triton's error."""
    check_model_name(name)
    return name


def check_model(source: ModelSource, name: str) -> tuple[SourceFacts, list[str]]:
    """The text's facts and warnings; a syntax error names the line as its writer sees it."""
    try:
        return check_source(source)
    except SyntaxError as error:
        raise model_syntax_error(name, source, error) from None
    except ValueError as error:  # a NUL in the text
        raise PyServeError(Code.INVALID_ARG, f"{source.label} is not Python source: {error}") from error


def control() -> Control:
    """The control API of this kernel's engine, which has been told what the kernel shares."""
    sharing.offer_again(default_client())
    return Control(default_client().connection)


def _tensor(item: str | TensorOption) -> TensorOption:
    import argparse

    if isinstance(item, TensorOption):
        return item
    try:
        return tensor(item)
    except argparse.ArgumentTypeError as error:
        raise PyServeError(Code.INVALID_ARG, str(error)) from error


def _origin(source: ModelSource) -> Origin:
    """Which kernel, notebook and cell it comes from, as far as this process knows."""
    connection_file = next((arg for arg in sys.argv if _KERNEL_FILE.search(arg)), "")
    match = _KERNEL_FILE.search(connection_file)
    return {
        "kernel_id": match["id"] if match else None,
        "notebook": os.environ.get("JPY_SESSION_NAME"),
        "cell": source.label.removeprefix("Cell ") if source.label.startswith("Cell ") else None,
    }
