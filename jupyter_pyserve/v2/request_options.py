"""What a client says of a request apart from its inputs: one value, whatever way the request takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jupyter_pyserve.v2.messages import ParameterValue


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """No version means the newest at the time, no outputs means all. `parameters` has the protocol's own, too.

    `timeout_s` bounds the wait for an answer, of a stream for each of them; None waits as long as it takes.
    """

    version: str = ""
    outputs: tuple[str, ...] = ()
    request_id: str = ""
    parameters: Mapping[str, ParameterValue] | None = None
    timeout_s: float | None = None


#: Nothing in particular.
PLAIN = RequestOptions()
