"""What the cells of this kernel have written so far: models with their sources, and configurations.

Memory only: the latest cell wins. Knows neither IPython nor the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.config_text import ConfigOptions, config_for
from jupyter_pyserve.notebook.source import ModelSource, SourceFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenModel:
    """One model cell, checked."""

    source: ModelSource
    facts: SourceFacts
    options: ConfigOptions
    #: Whether what it uses of other cells is written above it.
    include: bool = True


class Workbench:
    """The models and configurations of one kernel, by name."""

    def __init__(self) -> None:
        self._models: dict[str, WrittenModel] = {}
        self._configs: dict[str, str] = {}

    def put_model(self, name: str, model: WrittenModel, *, config: str | None = None) -> None:
        """Keep a model cell. Options in it, or a file, replace what a config cell said before."""
        if config is not None:
            self._configs[name] = config
        elif not model.options.is_empty:
            self._configs.pop(name, None)
        self._models[name] = model

    def put_config(self, name: str, text: str) -> None:
        """Keep a config cell; it replaces the options that the model's cell had."""
        self._configs[name] = text
        model = self._models.get(name)
        if model is not None:
            self._models[name] = replace(model, options=ConfigOptions())

    def model(self, name: str) -> WrittenModel:
        try:
            return self._models[name]
        except KeyError:
            known = ", ".join(self.names()) or "none yet"
            raise PyServeError(
                Code.NOT_FOUND,
                f"no cell of this kernel holds a model '{name}' (there are: {known}). Run its cell "
                f"'%%pyserve model {name}' first; '%pyserve load {name}' loads it from the model repository",
            ) from None

    def config(self, name: str) -> str:
        """The config.pbtxt to deploy a model with."""
        model = self.model(name)
        return config_for(name, model.options, model.facts, written=self._configs.get(name))

    def names(self) -> list[str]:
        return sorted(self._models)
