"""Dispatching under the rate limiter: an instance executes only while it holds its seat, one batch at a time.

A batch is made when the seat has been granted and not before, so what waits for a seat may still find company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jupyter_pyserve.engine.job import Job, Owner
from jupyter_pyserve.engine.scheduling.dispatcher import Dispatcher
from jupyter_pyserve.engine.scheduling.rates import Turns
from jupyter_pyserve.engine.scheduling.sequencer import Refuse, Sequencer
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.model.sequence_turns import Turn


class LimitedDispatcher(Dispatcher):
    """Queue and instances of one model version, by turns with those of others."""

    def __init__(
        self, config: ModelConfig, instances: Iterable[Instance], on_expired: Callable[[Job], None], turns: Turns
    ) -> None:
        super().__init__(config, instances, on_expired)
        self._timed = True  # every job is queued, and an instance gets one batch
        self._turns = turns
        if config.decoupled:
            turns.is_done = lambda instance: not instance.in_flight

    @property
    def waiting(self) -> bool:
        """Whether anything is queued, or a seat is to be released when its instance is done."""
        return self._turns.held or super().waiting

    def pump(self, now_ns: int, answering: int = 0) -> None:
        self._turns.finish()
        super().pump(now_ns, answering)
        self._turns.give_back()

    def _free_instance(self) -> Instance | None:
        idle = (item for item in self._instances if item.state is StubState.READY and item.room > 0)
        return next((item for item in self._turns.in_order(idle) if self._turns.take(item)), None)


class LimitedSequencer(Sequencer):
    """Sequences and instances of one model version, by turns with those of others."""

    def __init__(
        self, config: ModelConfig, instances: Iterable[Instance], owner: Owner, refuse: Refuse, turns: Turns
    ) -> None:
        super().__init__(config, instances, owner, refuse)
        self._next_batch = self._next_in_turn
        self._turns = turns
        turns.is_done = self._is_done

    @property
    def waiting(self) -> bool:
        """Whether anything is queued, or a seat is to be released when its instance is done."""
        return self._turns.held or super().waiting

    def _run(self, now_ns: int) -> None:
        self._turns.finish()
        super()._run(now_ns)
        self._turns.give_back()

    def _next_in_turn(self, instance: Instance, now_ns: int) -> list[Turn[Job] | None] | None:
        if not self._scheduler.has_turns(instance) or not self._turns.take(instance):
            return None
        return self._scheduler.next_batch(instance, now_ns)
