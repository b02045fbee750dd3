"""Two servers that allow all that stock clients can ask: one in a terminal, one behind Jupyter with its token."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.golden.repository import lay_out
from tests.jupyter.server_process import TOKEN, running_server, wait_until
from tests.process.engine import Server
from tests.process.repository import add_model
from tests.support.plain import over_tcp
from tests.support.stock import MODULES, Address

_GOLDEN = ("behave", "classes", "every_type", "identity", "pair", "texts")
_OPTIONS = (
    "--model-control-mode=explicit",
    "--allow-client-shm=true",
    "--http-header-forward-pattern=.*(x-told|authorization)",
    "--trace-config=triton,file=/dev/null",
    "--grpc-header-forward-pattern=.*(x-told|authorization)",
    *(f"--load-model={name}" for name in (*_GOLDEN, "puppet", "repeat", "sequence")),
)


def _repository(folder: Path) -> Path:
    repository = lay_out(folder / "models", _GOLDEN)
    changing = Path(__file__).parents[1] / "models" / "changing"
    shutil.copytree(changing, repository / "changing", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("puppet", "repeat"):
        add_model(repository, name)
    add_model(repository, "sequence", extra="sequence_batching { }")
    return repository


@pytest.fixture(scope="session")
def in_a_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("terminal")
    repository = _repository(folder)
    server = Server(repository, folder / "serve.log", _OPTIONS)
    try:
        address = cast(tuple[str, int], server.wait_until_ready().address)
        plain = over_tcp(address)
        wait_until(plain.is_ready, f"the models are loaded; see {server.log}")
        http = f"{address[0]}:{address[1]}"
        yield Address(http=http, grpc=server.grpc_url, headers={}, plain=plain, repository=repository)
    finally:
        server.close()


@pytest.fixture(scope="session")
def with_a_token() -> Iterator[Address]:
    # pytest's folders can be too long for a socket's address.
    with tempfile.TemporaryDirectory(prefix="ps") as name:
        folder = Path(name)
        repository = _repository(folder)
        with running_server(folder, {"model_repository": str(repository), "engine_args": [*_OPTIONS]}) as server:
            headers = {"authorization": f"token {TOKEN}"}
            plain = over_tcp(("127.0.0.1", server.port), prefix="/pyserve", headers=headers)
            wait_until(plain.is_ready, f"the models are loaded; see {server.log}")
            grpc = plain.send("GET", "/api/status").json()["engine"]["grpc_url"]
            http = f"127.0.0.1:{server.port}/pyserve"
            yield Address(http=http, grpc=grpc, headers=headers, plain=plain, repository=repository)


@pytest.fixture(params=["in_a_terminal", "with_a_token"])
def address(request: pytest.FixtureRequest) -> Address:
    """Each server."""
    return cast(Address, request.getfixturevalue(request.param))


@pytest.fixture(params=MODULES)
def kind(request: pytest.FixtureRequest) -> str:
    """Each client."""
    return str(request.param)
