"""Path mapping and actions: what passes, what cannot escape, and what a request needs."""

from __future__ import annotations

import json
import re

import pytest

from jupyter_pyserve.transports.http import control
from jupyter_pyserve.transports.jupyter.paths import (
    ROUTES,
    action,
    engine_path,
    engine_query,
    is_activity,
    starts_engine,
)
from jupyter_pyserve.v2 import openapi

BASE = "/a%40b/"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a%40b/pyserve/v2", "/v2"),
        ("/a%40b/pyserve/v2/", "/v2/"),
        ("/a%40b/pyserve/v2/models/m%2Fx/infer", "/v2/models/m%2Fx/infer"),
        ("/a%40b/pyserve/v2/models/%3Cscript%3E", "/v2/models/%3Cscript%3E"),
        ("/a%40b/pyserve/v2//health", "/v2//health"),
        ("/a%40b/pyserve/api/status", "/api/status"),
        ("/a%40b/pyserve/metrics", "/metrics"),
        ("/a%40b/pyserve/v2/models/a...b", "/v2/models/a...b"),
    ],
)
def test_the_raw_path_is_passed_on(raw: str, expected: str) -> None:
    assert engine_path(raw, BASE) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "/a%40b/pyserve/v2/../api/status",
        "/a%40b/pyserve/v2/%2e%2E/api/status",
        "/a%40b/pyserve/v2/.%2e/api/status",
        "/a%40b/pyserve/v2/./x",
        "/a%40b/pyserve/v2/..",
        "/a%40b/pyserve/v2\\..\\api",
        "/a%40b/pyserve/v2 HTTP/1.1",
        "/a%40b/pyserve/v2/\r\nX: y",
        "/a%40b/pyserve/v2/\x00",
        "/a%40b/pyserve/v2/caf\xe9",
        "/a%40b/pyserve/v22",
        "/a%40b/pyserve/metrics/",
        "/a%40b/pyserve/metricsx",
        "/a%40b/pyserve/v2.",
        "/a%40b/pyserve//v2",
        "/a%40b/pyserve/",
        "/a%40b/pyserve",
        "/a@b/pyserve/v2",
        "/pyserve/v2",
        "/v2",
        "",
    ],
)
def test_nothing_else_reaches_the_engine(raw: str) -> None:
    assert engine_path(raw, BASE) is None


def test_the_root_is_a_base_url_too() -> None:
    assert engine_path("/pyserve/v2", "/") == "/v2"


@pytest.mark.parametrize(
    ("path", "matched"),
    [("/pyserve/v2", True), ("/pyserve/v2/x/y", True), ("/pyserve/api/x", True), ("/pyserve/v22", False)],
)
def test_routes(path: str, matched: bool) -> None:
    assert any(re.fullmatch(route, path) for route in ROUTES) is matched


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        ("tail=200&instance=m_0", "?tail=200&instance=m_0"),
        ("tail=1&token=secret", "?tail=1"),
        ("token=secret", ""),
        ("%74oken=secret&tail=1", "?tail=1"),
        ("_xsrf=secret", ""),
        ("no_track_activity=1&a=b", "?a=b"),
        ("tokens=3", "?tokens=3"),
        ("a=\r\nX: y", ""),
    ],
)
def test_queries_lose_what_authenticates(raw: str, expected: str) -> None:
    assert engine_query(raw) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v2/models/m", "read"),
        ("HEAD", "/api/status", "read"),
        ("OPTIONS", "/v2", "read"),
        ("GET", "/api/models/m/logs", "read"),
        ("GET", "/api/recordings", "execute"),
        ("HEAD", "/api/recordings/m-1", "execute"),
        ("GET", "/api/recordings/m-1/model", "execute"),
        ("POST", "/v2/models/m/infer", "write"),
        ("POST", "/v2/models/m/versions/1/infer", "write"),
        ("POST", "/v2/models/m/generate", "write"),
        ("POST", "/v2/models/m/versions/1/generate_stream", "write"),
        ("POST", "/v2/repository/index", "write"),
        ("POST", "/v2/repository/r/index", "write"),
        ("POST", "/v2/systemsharedmemory/region/r/register", "write"),
        ("POST", "/v2/cudasharedmemory/unregister", "write"),
        ("POST", "/v2/logging", "write"),
        ("POST", "/v2/models/m/trace/setting", "write"),
        ("POST", "/v2/repository/models/m/load", "execute"),
        ("POST", "/v2/repository/r/models/m/load", "execute"),
        ("POST", "/v2/repository/models/m/unload", "execute"),
        ("POST", "/api/models/m/deploy", "execute"),
        ("POST", "/api/models/m/undeploy", "execute"),
        ("POST", "/api/models/m/restart", "execute"),
        # What nobody has thought of yet.
        ("POST", "/api/anything", "execute"),
        ("POST", "/v2/repository/models/index/load", "execute"),
        ("POST", "/v2/models/m/infer/", "execute"),
        ("POST", "/v2/models/a/b/infer", "execute"),
        ("PUT", "/v2/models/m/infer", "execute"),
        ("PATCH", "/v2", "execute"),
        ("DELETE", "/v2/models/m", "execute"),
    ],
)
def test_actions(method: str, path: str, expected: str) -> None:
    assert action(method, path) == expected


#: What users who may not `execute` can do, all of it: whoever adds a route thinks of where it belongs.
READABLE = {
    *("health/live", "health/ready", "openapi.json", "models/stats"),
    *("M", "M/ready", "M/config", "M/stats", "models/{model}/trace/setting", "trace/setting", "logging"),
    *(f"{kind}sharedmemory/{of}status" for kind in ("system", "cuda") for of in ("", "region/{region}/")),
    "",
}
WRITABLE = {
    *("M/infer", "M/generate", "M/generate_stream", "models/{model}/trace/setting", "trace/setting", "logging"),
    *("repository/index", "repository/{repository}/index"),
    *(
        f"{kind}sharedmemory/{what}"
        for kind in ("system", "cuda")
        for what in ("unregister", "region/{region}/register", "region/{region}/unregister")
    ),
}


def _paths(short: set[str]) -> set[str]:
    """`M` stands for a model, with its version and without."""
    found = set()
    for item in short:
        for model in ("models/{model}", "models/{model}/versions/{version}"):
            first, _, rest = item.partition("/")
            found.add("/".join(("/v2", *((model, rest) if first == "M" else (item,)))).rstrip("/"))
    return found


def test_every_route_of_the_protocol_has_its_action() -> None:
    assigned: dict[str, set[str]] = {}
    for path, methods in json.loads(openapi.document("1"))["paths"].items():
        concrete = path.replace("{version}", "1").replace("{", "").replace("}", "")
        for method in methods:
            assigned.setdefault(action(method.upper(), concrete), set()).add(path)
    assert assigned["read"] == _paths(READABLE)
    assert assigned["write"] == _paths(WRITABLE)


def test_every_route_of_the_control_api_has_its_action() -> None:
    readable = {name for name in control._QUESTIONS if action("GET", f"/api/{name}") == "read"}
    assert readable == {"status", "events", "logs"}
    acting = [f"/api/models/m/{name}" for name in control._ACTIONS]
    acting += [f"/api/models/m/instances/m_0/{name}" for name in control._INSTANCE_ACTIONS]
    assert {action("POST", path) for path in acting} == {"execute"}


def test_polling_is_no_activity() -> None:
    assert [is_activity(method) for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE")] == [
        False,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("query", "starts"), [("", True), ("a=1&if_running=1", False), ("if_running=0", True)])
def test_who_only_looks_says_so(query: str, starts: bool) -> None:
    assert starts_engine(query) is starts
    assert "if_running" not in engine_query(query)
