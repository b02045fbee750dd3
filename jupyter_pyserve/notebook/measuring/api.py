"""`pyserve.bench`: how fast a served model answers, at several numbers of requests at once.

Composes the client, the load and the result; draws nothing itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.arrays import Array
from jupyter_pyserve.notebook.client import Client, InferenceLane, default_client
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.http_lane import HttpLane
from jupyter_pyserve.notebook.measuring.inputs import example_inputs, required
from jupyter_pyserve.notebook.measuring.load import Call, run_level
from jupyter_pyserve.notebook.measuring.result import BenchResult, Level
from jupyter_pyserve.v2.request_options import RequestOptions

WAYS = ("lane", "http")
CONCURRENCY = (1, 2, 4, 8, 16)
_MAX_CONCURRENCY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a benchmark is: the concurrency at work, the share of all that is over, the levels that are done."""

    concurrency: int
    share: float
    levels: tuple[Level, ...]


OnProgress = Callable[[Progress], None]


def bench(
    name: str,
    concurrency: int | Sequence[int] = CONCURRENCY,
    duration_s: float = 2.0,
    inputs: Mapping[str, object] | None = None,
    *,
    via: str = "lane",
    version: str | int | None = None,
    batch_size: int | None = None,
    timeout_s: float = 60.0,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> BenchResult:
    """Ask a model again and again, with 1, 2, 4, 8 and 16 requests at once, and tell how long answers took.

    Without `inputs` they are zeros and short texts of the declared shapes, `batch_size` in a batch. `via` is the "lane"
    that `model(x)` uses, or "http": the engine's HTTP port, as a client elsewhere would use it. Setting `stop` ends it
    early, with what was found until then. The first request is made apart: its error is raised.
    """
    levels = _checked_levels(concurrency)
    if not duration_s > 0:
        raise PyServeError(Code.INVALID_ARG, "'duration_s' must be more than 0")
    call, way = prepare(
        name,
        inputs,
        via=via,
        version="" if version is None else str(version),
        batch_size=batch_size,
        timeout_s=timeout_s,
    )
    stop = stop or threading.Event()
    done: list[Level] = []
    for place, level in enumerate(levels):
        call()  # outside of what is measured, and an error here is everybody's

        def tell(share: float, place: int = place, level: int = level) -> None:
            if on_progress is not None:
                found = Progress(concurrency=level, share=(place + share) / len(levels), levels=tuple(done))
                on_progress(found)

        measured = run_level(call, level, duration_s, stop=stop, on_time=tell)
        if measured is None:
            return BenchResult(name, done, via=way, note="stopped before its end")
        done.append(measured)
    if on_progress is not None:
        on_progress(Progress(concurrency=levels[-1], share=1.0, levels=tuple(done)))
    return BenchResult(name, done, via=way)


def prepare(
    name: str,
    inputs: Mapping[str, object] | None,
    *,
    via: str,
    version: str = "",
    batch_size: int | None = None,
    timeout_s: float | None = None,
) -> tuple[Call, str]:
    """One request of a model as a call, and the way that it takes: "lane", or "http" also where there is no lane."""
    if via not in WAYS:
        raise PyServeError(Code.INVALID_ARG, f"'via' must be one of {', '.join(WAYS)}, not '{via}'")
    client = default_client()
    model = client.model(name, version)
    if inputs is None:
        config = model.config
        batch = batch_size or 1 if config.get("max_batch_size") else None
        arrays = example_inputs(required(model.metadata, config), batch_size=batch)
    else:
        arrays = model.as_arrays(inputs)
    decoupled = bool(Control(client.connection).model_status(name).get("decoupled"))
    lane = HttpLane(_port(client)) if via == "http" else client.fresh_lane()
    way = "http" if isinstance(lane, HttpLane) else "lane"
    if decoupled and way == "http":
        raise PyServeError(
            Code.UNSUPPORTED, f"model '{name}' is decoupled: only the lane of the engine's own machine measures it"
        )
    return _call(lane, name, arrays, version, timeout_s, decoupled=decoupled), way


def _call(
    lane: InferenceLane,
    name: str,
    arrays: Mapping[str, Array],
    version: str,
    timeout_s: float | None,
    *,
    decoupled: bool,
) -> Call:
    """Arrays that lie where they are needed; a decoupled model has answered when it has given all its responses."""
    placed = {key: lane.asarray(array) for key, array in arrays.items()}
    options = RequestOptions(version=version, timeout_s=timeout_s)

    def ask() -> None:
        try:
            if decoupled:
                for _ in lane.stream(name, placed, options):
                    pass
            else:
                lane.infer(name, placed, options)
        except OSError as error:
            raise PyServeError(Code.UNAVAILABLE, str(error) or "the engine did not answer in time") from error

    return ask


def _port(client: Client) -> Connection:
    """The engine's own HTTP port where it has one, else the way on which this kernel reaches it."""
    url = Control(client.connection).status()["engine"].get("http_url")
    if not url or client.address.http_socket is None:  # a port of another machine's loopback is of no use here
        return client.connection
    return Connection(Address(url=url, token=client.address.token))


def _checked_levels(concurrency: int | Sequence[int]) -> list[int]:
    levels = [concurrency] if isinstance(concurrency, int) else list(concurrency)
    if not levels or not all(0 < level <= _MAX_CONCURRENCY for level in levels):
        raise PyServeError(Code.INVALID_ARG, f"'concurrency' must be whole numbers from 1 to {_MAX_CONCURRENCY}")
    return levels
