"""Model versions whose answers are kept. Which class a version is of is settled when it is loaded."""

from __future__ import annotations

from jupyter_pyserve.engine.cache.answers import Answers
from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.ensembles.ensemble import EnsembleVersion, Lookup
from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.versions.launcher import ServableContext
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.model.config import ModelConfig


class _Cached(LoadedVersion):
    """What both kinds have in common; stands before the class that carries requests out."""

    answers: Answers

    def submit(self, job: Job) -> None:
        """Answer at once what was answered before."""
        self._require_available()
        if not self.answers.recall(job):
            super().submit(job)  # type: ignore[safe-super]

    async def stop(self, timeout_s: float) -> None:
        """What it answered is forgotten with it."""
        await super().stop(timeout_s)  # type: ignore[safe-super]
        self.answers.close()

    def _on_idle(self) -> None:
        super()._on_idle()
        self.answers.trim()


class CachedServable(_Cached, Servable):
    """A model with processes of its own."""

    def __init__(
        self, cache: ResponseCache, context: ServableContext, config: ModelConfig, version: int, model_dir: str
    ) -> None:
        super().__init__(context, config, version, model_dir)
        self.answers = Answers(cache, self, context.settings.arena_limit_nbytes)


class CachedEnsemble(_Cached, EnsembleVersion):
    """An ensemble as a whole; its members may have answers of their own."""

    def __init__(
        self,
        cache: ResponseCache,
        context: ServableContext,
        config: ModelConfig,
        version: int,
        model_dir: str,
        lookup: Lookup,
    ) -> None:
        super().__init__(context, config, version, model_dir, lookup)
        self.answers = Answers(cache, self, context.settings.arena_limit_nbytes)

    def check_members(self) -> None:
        """Other members may answer otherwise."""
        super().check_members()
        self.answers.forget()
