"""The server against its own description: schemathesis makes up requests from it, good ones and bad ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, checks
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema

from jupyter_pyserve.v2.openapi import OPERATIONS
from tests.golden.repository import lay_out
from tests.support.engine import running_engine
from tests.support.plain import Plain

#: What the protocol, made by Triton, does otherwise than such tools expect.
NOT_HERE = [
    checks.not_a_server_error,  # a body that cannot be parsed is an INTERNAL error, 500; `says_why` looks at those
    checks.positive_data_acceptance,  # a name that is made up names nothing
    checks.unsupported_method,  # no Allow header
]
#: As Triton, these look for what they know in whatever they get.
LENIENT = ("/index", "/unload", "/trace/setting", "/logging")


@pytest.fixture(scope="module")
def api_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """Of a server whose models and settings nobody else counts on."""
    folder = tmp_path_factory.mktemp("described")
    repository = lay_out(folder / "repository", ("identity",))
    options = ("--load-model=identity", "--allow-client-shm=true")
    with running_engine(repository, options=options, log=folder / "engine.log") as engine:
        host, port = engine.address
        yield schemathesis.openapi.from_url(f"http://{host}:{port}/v2/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("method", "path"), [(item.method, path) for item in OPERATIONS for path in item.paths])
def test_what_the_description_says_holds(api_schema: BaseSchema, method: str, path: str, mode: GenerationMode) -> None:
    operation = api_schema[path][method]
    excluded = [*NOT_HERE, *([checks.negative_data_rejection] if path.endswith(LENIENT) else [])]

    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Case[Any]) -> None:
        response = case.call()
        case.validate_response(response, excluded_checks=excluded, additional_checks=[says_why])

    with contextlib.suppress(Unsatisfiable):  # there is nothing to get wrong where nothing is asked for
        holds()


def test_every_way_has_the_description(plain: Plain) -> None:
    answer = plain.send("GET", "/v2/openapi.json")
    assert (answer.status, answer.json()["openapi"]) == (200, "3.1.0")


def says_why(context: object, response: Response, case: Case[Any]) -> None:
    """Whatever goes wrong is told in the protocol's form, and nothing goes wrong that nobody has thought of."""
    if response.status_code >= 400 and "/health/" not in case.path:
        assert response.json()["error"] not in ("", "internal error")
