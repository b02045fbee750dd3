"""What response senders were given where there is no server: kept for whoever tests the model.

Knows nothing of the rules of sending; the sender has checked them.
"""

from __future__ import annotations

import threading

from pyserve_stub.responses import InferenceResponse
from pyserve_stub.tensors import Tensor


class Collected:
    """The responses to one request that a test made."""

    __slots__ = ("_changed", "_responses", "final")

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._responses: list[InferenceResponse] = []
        self.final = False

    @property
    def responses(self) -> list[InferenceResponse]:
        """What was sent so far."""
        with self._changed:
            return list(self._responses)

    def add(self, response: InferenceResponse | None, final: bool) -> None:
        """Take a response, with its data as it is now: a model may use its arrays again."""
        with self._changed:
            if response is not None:
                self._responses.append(_frozen(response))
            self.final = final
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether the request is answered to the end, at the latest after so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self.final, timeout_s)


def _frozen(response: InferenceResponse) -> InferenceResponse:
    return InferenceResponse._arrived(
        [_copied(tensor) for tensor in response._outputs], response._error, response._parameters
    )


def _copied(tensor: Tensor) -> Tensor:
    array = tensor._array
    return tensor if array is None else Tensor(tensor._name, array.copy())
