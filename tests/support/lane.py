"""A lane as a transport of the contract suite; it has inference and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.lane.client import Lane
from jupyter_pyserve.v2.request_options import RequestOptions
from jupyter_pyserve.v2.status import http_status
from tests.support.transport import Array, Refused, Request

TIMEOUT_S = 60.0


class LaneTransport:
    """One lane, used by several threads when several requests are sent together."""

    def __init__(self, path: str) -> None:
        self.lane = Lane.connect(path)

    def close(self) -> None:
        self.lane.close()

    def infer(self, request: Request) -> dict[str, Array]:
        try:
            return self.lane.infer(
                request.model,
                request.inputs,
                RequestOptions(
                    version=request.version,
                    outputs=tuple(request.outputs),
                    request_id=request.id,
                    parameters=request.parameters,
                    timeout_s=TIMEOUT_S,
                ),
            )
        except PyServeError as error:
            raise Refused(http_status(error.code), error.message) from error

    def infer_together(self, requests: Sequence[Request]) -> list[dict[str, Array]]:
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(self.infer, requests))
