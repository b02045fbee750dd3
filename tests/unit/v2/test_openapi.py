from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_pyserve.v2 import openapi
from jupyter_pyserve.v2.openapi import OPERATIONS, Operation
from jupyter_pyserve.v2.routes import Endpoint, Route, match

NAMES = {"{model}": "m", "{version}": "3", "{region}": "r", "{repository}": "there"}
#: Only on the port of its own.
METRICS = {Endpoint.METRICS, Endpoint.NO_METRICS}


def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(openapi.document("1.2.3"))
    return document


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda item: item.endpoint.value)
def test_every_path_is_the_route_that_it_says(operation: Operation) -> None:
    for path in operation.paths:
        for name, value in NAMES.items():
            path = path.replace(name, value)
        route = match(operation.method.upper().encode(), path.encode())
        assert isinstance(route, Route)
        assert route.endpoint is operation.endpoint


def test_every_endpoint_is_described() -> None:
    assert {operation.endpoint for operation in OPERATIONS} == set(Endpoint) - METRICS


def test_names_in_a_path_are_its_parameters() -> None:
    for path, methods in described()["paths"].items():
        for operation in methods.values():
            assert [f"{{{item['name']}}}" in path for item in operation["parameters"]] == [True] * path.count("{")


def test_operations_have_names_of_their_own() -> None:
    names = [item["operationId"] for methods in described()["paths"].values() for item in methods.values()]
    assert len(names) == len(set(names)) > len(OPERATIONS)


def test_it_says_which_version_it_is_of() -> None:
    assert described()["info"]["version"] == "1.2.3"
