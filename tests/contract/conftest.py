"""Two running servers, one behind Jupyter, and every way to each: a transport more is one parameter more here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.golden.repository import MODELS_APART, lay_out
from tests.jupyter.server_process import TOKEN, running_server, wait_until
from tests.support.engine import running_engine
from tests.support.lane import LaneTransport
from tests.support.plain import Plain, over_tcp, over_unix
from tests.support.transport import Inference, Transport
from tests.support.triton_client import TritonClient
from tests.support.triton_grpc import TritonGrpcClient

OWN_MODELS = Path(__file__).parent / "models"

LOADED = (
    "args", "auto_complete", "batched", "behave", "configured", "counted", "every_type", "grid", "identity", "later",
    "matrix", "meeting", "optional", "pair", "reshaping", "texts", "versions",
)  # fmt: skip
OPTIONS = tuple(f"--load-model={name}" for name in LOADED)

PLAIN = {"http": "standalone", "unix": "standalone", "jupyter": "behind_jupyter"}
ALL_BUT_LANE = {
    **PLAIN,
    "triton_http": "standalone",
    "triton_jupyter": "behind_jupyter",
    "triton_grpc": "standalone",
    "triton_grpc_token": "behind_jupyter",
}
ALL = {**ALL_BUT_LANE, "lane": "standalone"}
SCRAPES = {"port": "standalone", "unix": "standalone", "jupyter": "behind_jupyter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server with its repository and the ways to it."""

    repository: Path
    ways: Mapping[str, Inference]
    #: The ways to metrics.
    scrapes: Mapping[str, Plain]


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("standalone")
    repository = _repository(folder)
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine(repository, options=OPTIONS, log=folder / "engine.log"))
        host, port = engine.address
        ways: dict[str, Inference] = {
            "http": over_tcp(engine.address),
            "unix": over_unix(engine.http_socket),
            "triton_http": stack.enter_context(closing(TritonClient(f"{host}:{port}"))),
            "triton_grpc": stack.enter_context(closing(TritonGrpcClient(engine.grpc))),
            "lane": stack.enter_context(closing(LaneTransport(engine.lane_socket))),
        }
        scrapes = {"unix": over_unix(engine.http_socket), "port": over_tcp(engine.metrics)}
        yield Server(repository=repository, ways=ways, scrapes=scrapes)


@pytest.fixture(scope="session")
def behind_jupyter() -> Iterator[Server]:
    with ExitStack() as stack:
        # pytest's folders can be too long for a socket's address.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ps")))
        repository = _repository(folder)
        traits = {"model_repository": str(repository), "engine_args": [*OPTIONS]}
        server = stack.enter_context(running_server(folder, traits))
        headers = {"Authorization": f"token {TOKEN}"}
        plain = over_tcp(("127.0.0.1", server.port), prefix="/pyserve", headers=headers)
        client = stack.enter_context(closing(TritonClient(f"127.0.0.1:{server.port}/pyserve", headers)))
        wait_until(plain.is_ready, f"the models are loaded; see {server.log}")
        grpc_url = plain.send("GET", "/api/status").json()["engine"]["grpc_url"]
        grpc = TritonGrpcClient(grpc_url, {"authorization": f"token {TOKEN}"})
        ways: dict[str, Inference] = {
            "jupyter": plain,
            "triton_jupyter": client,
            "triton_grpc_token": stack.enter_context(closing(grpc)),
        }
        yield Server(repository=repository, ways=ways, scrapes={"jupyter": plain})


def _repository(folder: Path) -> Path:
    repository = lay_out(folder / "repository")
    shutil.copytree(OWN_MODELS, repository, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(MODELS_APART / "reshaping", repository / "reshaping", ignore=shutil.ignore_patterns("__pycache__"))
    return repository


def _server(request: pytest.FixtureRequest) -> Server:
    return cast(Server, request.getfixturevalue(ALL[request.param]))


@pytest.fixture(params=ALL)
def inference(request: pytest.FixtureRequest) -> Inference:
    """Every way to run a model."""
    return _server(request).ways[request.param]


@pytest.fixture(params=ALL_BUT_LANE)
def managed(request: pytest.FixtureRequest) -> tuple[Transport, Path]:
    """Every way to everything else, with the repository at its other end."""
    server = _server(request)
    return cast(Transport, server.ways[request.param]), server.repository


@pytest.fixture
def transport(managed: tuple[Transport, Path]) -> Transport:
    return managed[0]


@pytest.fixture(params=PLAIN)
def plain(request: pytest.FixtureRequest) -> Plain:
    """Every way to send bytes of one's own."""
    way = _server(request).ways[request.param]
    assert isinstance(way, Plain)
    return way


@pytest.fixture(params=SCRAPES)
def scrape(request: pytest.FixtureRequest) -> Plain:
    """Every way to metrics."""
    server: Server = request.getfixturevalue(SCRAPES[request.param])
    return server.scrapes[request.param]


@pytest.fixture
def beside(request: pytest.FixtureRequest, scrape: Plain) -> Inference:
    """A way to run a model on the server whose metrics are looked at."""
    servers: list[Server] = [request.getfixturevalue(name) for name in set(SCRAPES.values())]
    (own,) = (server for server in servers if scrape in server.scrapes.values())
    return next(iter(own.ways.values()))
