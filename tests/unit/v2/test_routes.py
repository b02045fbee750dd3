from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.v2.routes import Endpoint, Route, RouteError, match, match_all, match_metrics

MODEL = Route(endpoint=Endpoint.MODEL_METADATA, model="m")
TABLE = [
    ("GET", "/v2", Route(endpoint=Endpoint.SERVER_METADATA)),
    ("GET", "/v2?verbose=1", Route(endpoint=Endpoint.SERVER_METADATA)),
    ("GET", "/v2/health/live", Route(endpoint=Endpoint.SERVER_LIVE)),
    ("GET", "/v2/health/ready", Route(endpoint=Endpoint.SERVER_READY)),
    ("GET", "/v2/models/m", MODEL),
    ("GET", "/v2/models/m/versions/3", Route(endpoint=Endpoint.MODEL_METADATA, model="m", version="3")),
    ("GET", "/v2/models/m/ready", Route(endpoint=Endpoint.MODEL_READY, model="m")),
    ("GET", "/v2/models/m/versions/3/ready", Route(endpoint=Endpoint.MODEL_READY, model="m", version="3")),
    ("GET", "/v2/models/m/config", Route(endpoint=Endpoint.MODEL_CONFIG, model="m")),
    ("GET", "/v2/models/m/stats", Route(endpoint=Endpoint.MODEL_STATISTICS, model="m")),
    ("GET", "/v2/models/stats", Route(endpoint=Endpoint.MODEL_STATISTICS)),
    ("POST", "/v2/models/m/infer", Route(endpoint=Endpoint.INFER, model="m")),
    ("POST", "/v2/models/stats/infer", Route(endpoint=Endpoint.INFER, model="stats")),
    ("POST", "/v2/models/m/versions/12/infer", Route(endpoint=Endpoint.INFER, model="m", version="12")),
    ("POST", "/v2/models/m/generate", Route(endpoint=Endpoint.GENERATE, model="m")),
    ("POST", "/v2/models/m/generate_stream", Route(endpoint=Endpoint.GENERATE_STREAM, model="m")),
    ("POST", "/v2/repository/index", Route(endpoint=Endpoint.REPOSITORY_INDEX)),
    ("POST", "/v2/repository/r/index", Route(endpoint=Endpoint.REPOSITORY_INDEX, repository="r")),
    ("POST", "/v2/repository/models/m/load", Route(endpoint=Endpoint.REPOSITORY_LOAD, model="m")),
    ("POST", "/v2/repository/r/models/m/unload", Route(endpoint=Endpoint.REPOSITORY_UNLOAD, model="m", repository="r")),
    ("GET", "/v2/systemsharedmemory/status", Route(endpoint=Endpoint.SYSTEM_SHM_STATUS)),
    ("GET", "/v2/systemsharedmemory/region/a/status", Route(endpoint=Endpoint.SYSTEM_SHM_STATUS, region="a")),
    ("POST", "/v2/systemsharedmemory/region/a/register", Route(endpoint=Endpoint.SYSTEM_SHM_REGISTER, region="a")),
    ("POST", "/v2/cudasharedmemory/unregister", Route(endpoint=Endpoint.CUDA_SHM_UNREGISTER)),
    ("GET", "/v2/trace/setting", Route(endpoint=Endpoint.TRACE_GET)),
    ("POST", "/v2/models/m/trace/setting", Route(endpoint=Endpoint.TRACE_UPDATE, model="m")),
    ("GET", "/v2/logging", Route(endpoint=Endpoint.LOG_GET)),
    ("POST", "/v2/logging", Route(endpoint=Endpoint.LOG_UPDATE)),
    ("GET", "/v2/models/a%20b", Route(endpoint=Endpoint.MODEL_METADATA, model="a b")),
]


@pytest.mark.parametrize(("method", "path", "route"), TABLE)
def test_routes(method: str, path: str, route: Route) -> None:
    assert match(method.encode(), path.encode()) == route


@pytest.mark.parametrize("path", sorted({path for _, path, _ in TABLE}))
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "BLAH", "get"])
def test_other_methods(method: str, path: str) -> None:
    assert match(method.encode(), path.encode()) is RouteError.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v2/",
        "//v2",
        "/v2x",
        "/nope",
        "/v2/models",
        "/v2/models/",
        "/v2/models/m/",
        "/v2/models//infer",
        "/v2/models/m/versions",
        "/v2/models/m/versions/x",
        "/v2/models/m/versions/\u0663",
        "/v2/models/m/versions/1/trace/setting",
        "/v2/models/trace/setting",
        "/v2/models/m/generate_streams",
        "/v2/repository/models/load",
        "/v2/repository/models//load",
        "/v2/repository/a/b/index",
        "/v2/systemsharedmemory/region/status",
        "/v2/systemsharedmemory/region//status",
        "/v2/systemsharedmemory/region/a/b/status",
        "/v2/othersharedmemory/status",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "BLAH"])
def test_paths_that_lead_nowhere(method: str, path: str) -> None:
    assert match(method.encode(), path.encode()) is RouteError.NOT_FOUND


def test_what_the_client_is_told() -> None:
    assert (RouteError.NOT_FOUND.status, RouteError.NOT_FOUND.message) == (404, "Not Found")
    assert (RouteError.METHOD_NOT_ALLOWED.status, RouteError.METHOD_NOT_ALLOWED.message) == (405, "Method Not Allowed")


def test_a_name_that_is_not_utf8_names_nothing_that_exists() -> None:
    route = match(b"GET", b"/v2/models/\xff")
    assert isinstance(route, Route)
    assert route.model == "\ufffd"


@given(st.binary(max_size=12), st.binary(max_size=60))
def test_any_request_line_has_an_answer(method: bytes, path: bytes) -> None:
    assert isinstance(match(method, path), (Route, RouteError))


METRICS = Route(endpoint=Endpoint.METRICS)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/metrics", METRICS),
        ("GET", "/metrics/", METRICS),
        ("GET", "/metrics?x=1", METRICS),
        ("GET", "/v2", Route(endpoint=Endpoint.NO_METRICS)),
        ("POST", "/metrics", RouteError.METHOD_NOT_ALLOWED),
        ("HEAD", "/metrics", RouteError.METHOD_NOT_ALLOWED),
        ("POST", "/v2/models/m/infer", RouteError.METHOD_NOT_ALLOWED),
    ],
)
def test_the_metrics_port(method: str, path: str, expected: Route | RouteError) -> None:
    assert match_metrics(method.encode(), path.encode()) == expected


def test_metrics_are_not_on_the_main_port() -> None:
    assert match(b"GET", b"/metrics") is RouteError.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/metrics?x=1", METRICS),
        ("POST", "/metrics", RouteError.METHOD_NOT_ALLOWED),
        ("GET", "/metrics/", RouteError.NOT_FOUND),
        ("GET", "/v2", Route(endpoint=Endpoint.SERVER_METADATA)),
    ],
)
def test_the_socket_has_both(method: str, path: str, expected: Route | RouteError) -> None:
    assert match_all(method.encode(), path.encode()) == expected
