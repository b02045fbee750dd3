"""Chooses who gives a model version's instances their work, by its configuration and by what the server limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jupyter_pyserve.engine.job import Job, Owner
from jupyter_pyserve.engine.scheduling.dispatcher import Dispatcher
from jupyter_pyserve.engine.scheduling.limited import LimitedDispatcher, LimitedSequencer
from jupyter_pyserve.engine.scheduling.rates import Turns
from jupyter_pyserve.engine.scheduling.sequencer import Refuse, Sequencer
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.queueing import REQUEST_TIMEOUT_EXPIRED
from jupyter_pyserve.model.statistics import FailureReason


class _Active:
    """The instances that get work: passive ones are loaded and never execute."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._instances = instances

    def __iter__(self) -> Iterator[Instance]:
        return (instance for instance in self._instances if not instance.spec.passive)


def new_dispatcher(
    config: ModelConfig, instances: list[Instance], owner: Owner, refuse: Refuse, turns: Turns | None
) -> Dispatcher | Sequencer:
    """The dispatcher of a model version; `instances` may change later, `turns` is its part in the rate limiter."""
    passive = any(group.passive for group in config.instance_groups)
    active = _Active(instances) if passive else instances
    if config.sequence_batching is not None:
        if turns is not None:
            return LimitedSequencer(config, active, owner, refuse, turns)
        return Sequencer(config, active, owner, refuse)

    def expired(job: Job) -> None:
        refuse(job, Code.UNAVAILABLE, REQUEST_TIMEOUT_EXPIRED, FailureReason.REJECTED)

    if turns is not None:
        return LimitedDispatcher(config, active, expired, turns)
    return Dispatcher(config, active, expired)
