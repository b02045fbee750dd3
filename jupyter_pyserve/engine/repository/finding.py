"""Models and instances by the names under which people see them; an error says what there is."""

from __future__ import annotations

from jupyter_pyserve.engine.repository.entries import ModelEntry
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.errors import Code, PyServeError


def find_entry(registry: Registry, model: str) -> ModelEntry:
    """A model."""
    entry = registry.entries.get(model)
    if entry is None:
        raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{model}' is not found")
    return entry


def find_instance(registry: Registry, model: str, name: str) -> tuple[Servable, Instance]:
    """An instance by the name or the id that its row shows; of several versions, the newest one's."""
    newest_first = [item for _, item in reversed(find_entry(registry, model).held()) if isinstance(item, Servable)]
    found = [(servable, instance) for servable in newest_first for instance in servable.instances]
    for servable, instance in found:
        if name in (instance.name, f"{instance.name}#{servable.version}"):
            return servable, instance
    names = ", ".join(item.name for _, item in found) or "none"
    raise PyServeError(Code.NOT_FOUND, f"model '{model}' has no instance '{name}' (there are: {names})")
