"""`MetricFamily` and `Metric` of `pb_utils`: arguments checked here, numbers kept by the host."""

from __future__ import annotations

from typing import Any

from pyserve_stub import arguments
from pyserve_stub.arguments import Parameter, Signature
from pyserve_stub.host import Host, get_host
from pyserve_stub.services import failing_to
from pyserve_stub.vocabulary import (
    CAST_FAILED,
    NATIVE_MODULE,
    MetricKind,
    NativeObject,
    TritonModelException,
    Unconstructible,
)

_FAMILY = f"{NATIVE_MODULE}.MetricFamily"
_METRIC = f"{NATIVE_MODULE}.Metric"

_FAMILY_INIT = Signature(
    "__init__",
    Parameter("name", "str", arguments.text),
    Parameter("description", "str", arguments.text),
    Parameter("kind", f"{NATIVE_MODULE}.MetricKind", arguments.native(MetricKind)),
    returns=_FAMILY,
)
_NEW_METRIC = Signature(
    "Metric",
    Parameter("labels", "object", arguments.anything, None),
    Parameter("buckets", "object", arguments.anything, None),
    returns=_METRIC,
    receiver=_FAMILY,
)
_INCREMENT, _SET, _OBSERVE = (
    Signature(
        name, Parameter("arg0", "float", arguments.number, positional_only=True), returns="None", receiver=_METRIC
    )
    for name in ("increment", "set", "observe")
)


class Metric(Unconstructible):
    """One series of a family."""

    __slots__ = ("_handle", "_host")
    __module__ = NATIVE_MODULE

    _handle: int
    #: Whose handle it is: the process may get another host.
    _host: Host

    @classmethod
    def _of(cls, host: Host, handle: int) -> Metric:
        metric = cls.__new__(cls)
        metric._host = host
        metric._handle = handle
        return metric

    def increment(self, *args: Any, **kwargs: Any) -> None:
        """`increment(value)`: of counters and gauges."""
        (value,) = _INCREMENT.bind(args, kwargs, (self,))
        with failing_to("Failed to increment metric value"):
            self._host.metric(self._handle, "increment", value)

    def set(self, *args: Any, **kwargs: Any) -> None:
        """`set(value)`: of gauges."""
        (value,) = _SET.bind(args, kwargs, (self,))
        with failing_to("Failed to set metric value"):
            self._host.metric(self._handle, "set", value)

    def observe(self, *args: Any, **kwargs: Any) -> None:
        """`observe(value)`: of histograms."""
        (value,) = _OBSERVE.bind(args, kwargs, (self,))
        with failing_to("Failed to observe metric value"):
            self._host.metric(self._handle, "observe", value)

    def value(self) -> float:
        """The value of a counter or gauge."""
        with failing_to("Failed to get metric value"):
            return self._host.metric(self._handle, "value", 0.0)

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            self._host.close_metric(handle)


_MetricClass = Metric  # for annotations in MetricFamily, where Metric is a method


class MetricFamily(NativeObject):
    """`MetricFamily(name, description, kind)`: it must live for as long as its metrics are used."""

    __slots__ = ("_handle", "_host", "_kind")
    __module__ = NATIVE_MODULE

    COUNTER = MetricKind.COUNTER
    GAUGE = MetricKind.GAUGE
    HISTOGRAM = MetricKind.HISTOGRAM

    _handle: int
    _host: Host
    _kind: MetricKind

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name, description, self._kind = _FAMILY_INIT.bind(args, kwargs)
        self._host = get_host()
        with failing_to("Error when creating MetricFamily"):
            self._handle = self._host.open_metric_family(name, description, int(self._kind))

    def Metric(self, *args: Any, **kwargs: Any) -> _MetricClass:  # noqa: N802 - the name that models call
        """`Metric(labels=None, buckets=None)`: the series of those labels; a histogram's needs buckets."""
        labels, buckets = _NEW_METRIC.bind(args, kwargs, (self,))
        if labels is not None and not isinstance(labels, dict):
            raise TritonModelException("Failed to create metric. Labels must be a dictionary.")
        bounds = self._buckets(buckets)
        with failing_to("Error when creating Metric"):
            return _MetricClass._of(self._host, self._host.open_metric(self._handle, labels or {}, bounds))

    def _buckets(self, buckets: Any) -> list[float] | None:
        if buckets is not None and not isinstance(buckets, list):
            raise TritonModelException("Failed to create metric. Buckets must be a list.")
        if self._kind is not MetricKind.HISTOGRAM:
            if buckets is not None:
                raise TritonModelException("Failed to create metric. Unexpected buckets found.")
            return None
        if buckets is None:
            raise TritonModelException("Failed to create metric. Missing required buckets.")
        try:
            return [arguments.number(bound) for bound in buckets]
        except arguments.MismatchError:
            raise RuntimeError(CAST_FAILED) from None

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            self._host.close_metric_family(handle)
