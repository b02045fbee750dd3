"""Which class a model version is of: settled when it is loaded, so that none pays for what its configuration lacks."""

from __future__ import annotations

from jupyter_pyserve.engine.cache.versions import CachedEnsemble, CachedServable
from jupyter_pyserve.engine.ensembles.ensemble import EnsembleVersion, Lookup
from jupyter_pyserve.engine.scheduling.ordered import OrderedCachedServable, OrderedServable
from jupyter_pyserve.engine.versions.launcher import ServableContext
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.model.config import ModelConfig


def new_servable(context: ServableContext, config: ModelConfig, version: int, model_dir: str) -> Servable:
    """A version of a model, with its answers kept if it says so and the server can, and in order if it says so."""
    ordered = config.dynamic_batching is not None and config.dynamic_batching.preserve_ordering
    if config.response_cache and context.cache is not None:
        cached = OrderedCachedServable if ordered else CachedServable
        return cached(context.cache, context, config, version, model_dir)
    plain = OrderedServable if ordered else Servable
    return plain(context, config, version, model_dir)


def new_ensemble(
    context: ServableContext, config: ModelConfig, version: int, model_dir: str, lookup: Lookup
) -> EnsembleVersion:
    """A version of an ensemble, with its answers kept if it says so and the server can."""
    if config.response_cache and context.cache is not None:
        return CachedEnsemble(context.cache, context, config, version, model_dir, lookup)
    return EnsembleVersion(context, config, version, model_dir, lookup)
