"""The answers of models whose outputs clients see in other shapes than the models give them."""

from __future__ import annotations

from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.job import Response
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.reshaping import reshaped
from jupyter_pyserve.model.signature import Signature

_MAX_LAYOUTS = 1024


class OutputShapes:
    """Those of one model version, remembered by the layouts of its answers; the text of what is wrong with some."""

    __slots__ = ("_known", "_signature")

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._known: dict[bytes, tuple[bytes, tuple[TensorMeta, ...]] | str] = {}

    def apply(self, response: Response) -> Response:
        """The same answer as clients see it; one with an output of another shape becomes an error."""
        if not response.tensors:
            return response
        found = self._known.get(response.layout)
        if found is None:
            if len(self._known) >= _MAX_LAYOUTS:
                self._known.clear()
            found = self._known[response.layout] = self._work_out(response.tensors)
        if isinstance(found, str):
            response.code, response.text = Code.INTERNAL, found
        else:
            response.layout, response.tensors = found
        return response

    def _work_out(self, given: tuple[TensorMeta, ...]) -> tuple[bytes, tuple[TensorMeta, ...]] | str:
        tensors = []
        for meta in given:
            spec = self._signature.outputs.get(meta.name)
            if spec is not None and spec.reshape is not None:
                batched = self._signature.max_batch_size > 0
                shape = reshaped(meta.shape, spec.reshape, spec.dims, batched=batched)
                if shape is None:
                    return f"output tensor shape does not match size of output for '{meta.name}'"
                meta = TensorMeta(meta.name, meta.code, shape)
            tensors.append(meta)
        return encode_layout(tensors), tuple(tensors)


def output_shapes(signature: Signature) -> OutputShapes | None:
    """None for models whose outputs are seen as they are."""
    return OutputShapes(signature) if any(spec.reshape is not None for spec in signature.outputs.values()) else None
