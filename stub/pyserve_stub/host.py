"""The one seam between the `pb_utils` surface and whatever runs the model.

`Host` says what the surface needs, with the answers of a process that has no server to ask; the stub sets a connected
one. With the `OfflineHost`, which is there from the start, a model's `execute` can be called from a plain test. Knows
no sockets and no executor.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Sequence, TypeVar

from pyserve_stub.metrics import DELETED, MetricError, MetricKeeper, MetricRegistry
from pyserve_stub.vocabulary import TritonModelException

if TYPE_CHECKING:
    import asyncio

    from pyserve_stub.messages import InferenceRequest, InferenceResponse
    from pyserve_stub.streams import ResponseIterator

T = TypeVar("T")


class Host:
    """What the surface asks of the engine. A method that fails raises `TritonModelException`."""

    #: Appears in error texts where Triton names the model instance.
    instance_name = "offline"

    #: Whether senders of requests that came from nowhere keep what they are given.
    collects = False

    #: Follows the name of what was asked for when this host has no answer.
    without = "is not available to models on this server."

    def __init__(self, metrics: MetricKeeper | None = None) -> None:
        self._metrics = metrics if metrics is not None else MetricRegistry()

    def log(self, level: int, filename: str, line: int, message: str) -> None:
        """Delivers a message of `Logger`; `filename` is the caller's base name."""
        raise NotImplementedError

    def is_cancelled(self, request_key: int) -> bool:
        """Whether the client gave up an incoming request."""
        return False

    def send_response(self, request_key: int, response: InferenceResponse | None, flags: int) -> None:
        """Sends what a response sender was given, checked already; returns when the data is taken."""
        self._refuse("Sending a response")

    def sender_dropped(self, request_key: int) -> None:
        """A response sender died that never said FINAL: nobody can answer its request any more.

        Called by the garbage collector, so in any thread and at any time.
        """

    def bls(self, request: InferenceRequest, decoupled: bool) -> InferenceResponse | ResponseIterator:
        """Runs a request that a model made; what fails after dispatch is in the response, not raised."""
        self._refuse("A BLS request")

    def async_bls(self, request: InferenceRequest, decoupled: bool) -> asyncio.Future[Any]:
        """The same for the running event loop."""
        self._refuse("A BLS request")

    def load_model(self, name: str, config: str, files: dict[str, bytes] | None) -> None:
        """Loads a model of the repository; what the server refuses is raised as `refusal(its text)`."""
        self._refuse("load_model")

    def unload_model(self, name: str, unload_dependents: bool) -> None:
        """Begins to unload a model; refused like `load_model`."""
        self._refuse("unload_model")

    def is_model_ready(self, name: str, version: str) -> bool:
        """Whether a model, or one version of it, is ready; refused like `load_model`."""
        self._refuse("is_model_ready")

    def open_metric_family(self, name: str, description: str, kind: int) -> int:
        """Registers a metric family and returns its handle."""
        return self._counted(self._metrics.open_family, name, description, kind)

    def close_metric_family(self, family: int) -> None:
        """A `MetricFamily` died. Called by the garbage collector, like `sender_dropped`."""
        self._metrics.close_family(family)

    def open_metric(self, family: int, labels: dict[str, object], buckets: Sequence[float] | None) -> int:
        """Finds or adds the series of `labels` and returns its handle."""
        return self._counted(self._metrics.open_series, family, labels, buckets)

    def close_metric(self, metric: int) -> None:
        """A `Metric` died; its series stays. Called by the garbage collector, like `sender_dropped`."""
        self._metrics.close_series(metric)

    def metric(self, metric: int, operation: str, value: float) -> float:
        """Carries out `increment`, `set`, `observe` or `value` on a series; `value` returns it."""
        return self._counted(self._metrics.apply, metric, operation, value)

    def shared_array(self, name: str) -> Any:
        """An array that a kernel shares; None where there is nobody to ask. Raised is the server's text."""
        return None

    def free_memory(self) -> int:
        """Free bytes of the shared memory that responses go through; 0 where there is none."""
        return 0

    def refusal(self, text: str) -> TritonModelException:
        """The error for what the server refused."""
        return TritonModelException(f"Failed to process the request for model '{self.instance_name}', message: {text}")

    def _counted(self, action: Callable[..., T], *values: object) -> T:
        try:
            return action(*values)
        except MetricError as error:
            # That a family died is known without asking anybody.
            text = str(error)
            raise (TritonModelException(text) if text == DELETED else self.refusal(text)) from None

    def _refuse(self, what: str) -> NoReturn:
        raise TritonModelException(f"{what} {self.without}")


class OfflineHost(Host):
    """Logs to stderr, counts metrics in this process, and says clearly what needs a server."""

    collects = True
    without = "needs a server, and this model runs outside of one."

    def log(self, level: int, filename: str, line: int, message: str) -> None:
        now = time.time()
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
        micros = int(now % 1 * 1_000_000)
        # Triton's layout for what a stub prints by itself; V is never filtered, for there are no settings here.
        sys.stderr.write(f"{'IWEV'[level]}{stamp}.{micros:06d} {os.getpid()} {filename}:{line}]  {message}\n")


_host: Host = OfflineHost()


def get_host() -> Host:
    """The host of this process."""
    return _host


def set_host(host: Host) -> None:
    """Puts `host` in charge, for every thread."""
    global _host
    _host = host
