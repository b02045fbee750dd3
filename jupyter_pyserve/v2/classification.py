"""The classification extension: instead of an output's values, the names of its largest ones, as a BYTES tensor.

Each is `value:index`, with `:label` where the model has one. Knows neither requests nor how answers travel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pyserve_stub.wire.datatypes import BYTES, NAMES
from pyserve_stub.wire.layout import TensorMeta

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.tensors import pack_elements

if TYPE_CHECKING:
    from jupyter_pyserve.model.signature import Signature
    from jupyter_pyserve.v2.messages import InferRequest

#: Larger outputs are not sorted.
MAX_ELEMENTS: Final = 1_000_000
_UNSUPPORTED: Final = frozenset(("BOOL", "FP16", "BF16", "BYTES"))

Row = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """How many classes a request wants of which outputs, and their labels, by index; an empty label is none."""

    counts: Mapping[str, int]
    labels: Mapping[str, Sequence[str]]
    batched: bool

    @classmethod
    def wanted(cls, request: InferRequest, signature: Signature) -> Classification | None:
        """What a valid request asks for, if anything."""
        counts = {item.name: item.classification for item in request.outputs if item.classification}
        if not counts:
            return None
        labels = {name: signature.outputs[name].labels for name in counts}
        return cls(counts=counts, labels=labels, batched=signature.max_batch_size > 0)

    def apply(
        self, tensors: Sequence[TensorMeta], views: Sequence[memoryview]
    ) -> tuple[tuple[TensorMeta, ...], list[memoryview]]:
        """The outputs with classes in place of those that are wanted so; raises `PyServeError`."""
        metas, datas = [], []
        for meta, view in zip(tensors, views):
            if meta.name in self.counts:
                meta, view = self._classes(meta, view)
            metas.append(meta)
            datas.append(view)
        return tuple(metas), datas

    def _classes(self, meta: TensorMeta, view: memoryview) -> tuple[TensorMeta, memoryview]:
        datatype = NAMES[meta.code]
        if datatype in _UNSUPPORTED:
            raise _refuse(f"class result not available for output due to unsupported type '{datatype}'")
        values = np.frombuffer(view, TABLE[datatype].numpy)
        if values.size > MAX_ELEMENTS:
            raise _refuse("classification output tensor too large")
        batched = self.batched and len(meta.shape) > 0
        rows = values.reshape(meta.shape[0], _product(meta.shape[1:])) if batched else values.reshape(1, -1)
        count = min(self.counts[meta.name], rows.shape[1])
        names = [name for row in rows for name in _largest(row, count, self.labels.get(meta.name, ()))]
        shape = (rows.shape[0], count) if batched else (count,)
        return TensorMeta(meta.name, BYTES, shape), memoryview(pack_elements(names))


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _largest(row: Row, count: int, labels: Sequence[str]) -> Iterator[bytes]:
    """Of equal values the first one comes first."""
    if not count:
        return
    indices = np.arange(row.size)
    if count < row.size:  # not all have to be sorted; what is no number counts as large
        bound = np.partition(row, row.size - count)[row.size - count]
        indices = np.flatnonzero(~(row < bound))
    ascending = np.argsort(row[indices][::-1], kind="stable")
    form = "%f:%d" if row.dtype.kind == "f" else "%d:%d"
    for index in indices[indices.size - 1 - ascending[::-1]][:count].tolist():
        text = form % (row[index].item(), index)
        if index < len(labels) and labels[index]:
            text += f":{labels[index]}"
        yield text.encode("utf-8", "surrogateescape")


def _refuse(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, message)
