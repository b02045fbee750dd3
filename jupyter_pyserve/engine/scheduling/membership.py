"""A model version's part in the rate limiter, if there is one: its instances come and go there as they do in the model.

Turns what is refused into a `LoadFailure`. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jupyter_pyserve.engine.scheduling.rates import Rates, Turns
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import InstanceSpec


class Membership:
    """`wake` is called when an instance may execute that could not before."""

    def __init__(self, rates: Rates | None, wake: Callable[[], None]) -> None:
        self.turns = None if rates is None else Turns(rates, wake)

    def join(self, specs: Iterable[InstanceSpec]) -> None:
        """There will be these instances too; raises `LoadFailure` when one could never execute."""
        if self.turns is not None:
            try:
                self.turns.join(specs)
            except PyServeError as error:
                raise LoadFailure(error.message, kind="Invalid argument") from error

    def keep(self, specs: Iterable[InstanceSpec]) -> None:
        """There are no others any more."""
        if self.turns is not None:
            self.turns.keep(specs)
