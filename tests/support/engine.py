"""Starts the real engine on a TCP port and two Unix sockets, as the Jupyter extension would, and stops it again."""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.golden.server import running
from tests.support.plain import over_unix

#: How `pyserve serve` is started in place of a Triton; the fields are those of `tests.golden.server.running`.
SERVE = (
    f"{sys.executable} -m jupyter_pyserve serve --model-repository={{repository}}"
    " --http-port={http} --grpc-port={grpc} --metrics-port={metrics}"
    " --allow-client-shm=true"  # as on the Triton that the golden answers are from
)

_ENGINE = (
    f"{sys.executable} -m jupyter_pyserve engine --model-repository={{repository}} --http-port={{http}}"
    " --metrics-port=0 --model-control-mode=explicit"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where a running engine listens."""

    address: tuple[str, int]
    http_socket: str
    lane_socket: str
    #: Host and port.
    grpc: str
    metrics: tuple[str, int]


@contextlib.contextmanager
def running_engine(repository: Path, *, options: Sequence[str], log: Path) -> Iterator[Engine]:
    """An engine without a token, ready when this yields."""
    # pytest's folders can be too long for a socket's address.
    with (
        tempfile.TemporaryDirectory(prefix="ps") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as http,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as lane,
    ):
        engine_http, engine_lane = f"{folder}/http.sock", f"{folder}/lane.sock"
        for listener, path in ((http, engine_http), (lane, engine_lane)):
            listener.bind(path)
            listener.listen(64)
        sockets = (f"--http-fd={http.fileno()}", f"--lane-fd={lane.fileno()}", f"--runtime-dir={folder}")
        inherited = (http.fileno(), lane.fileno())
        with running(
            _ENGINE, repository=repository, options=(*sockets, *options), log=log, inherited=inherited
        ) as address:
            status = over_unix(engine_http).send("GET", "/api/status").json()
            grpc, metrics = status["engine"]["grpc_url"], urlsplit(status["engine"]["metrics_url"])
            yield Engine(
                address=address,
                http_socket=engine_http,
                lane_socket=engine_lane,
                grpc=grpc,
                metrics=(metrics.hostname or "", metrics.port or 0),
            )
