"""Who gets through: every route, verb and credential; nothing is started or told for those who do not."""

from __future__ import annotations

import inspect
import io
import itertools
import json
import warnings
from contextlib import nullcontext
from typing import Any, ClassVar

import pytest
from jupyter_server.auth import Authorizer
from jupyter_server.utils import JupyterServerAuthWarning
from tornado import web

from jupyter_pyserve.transports.jupyter.events import EventsHandler
from jupyter_pyserve.transports.jupyter.handlers import EngineProxyHandler
from jupyter_pyserve.transports.jupyter.states import EngineState
from jupyter_pyserve.transports.jupyter.supervisor import EngineSupervisor
from tests.jupyter.client import Answer, Client

ROUTES = [
    "/pyserve/v2",
    "/pyserve/v2/",
    "/pyserve/v2/health/live",
    "/pyserve/v2/models/m/infer",
    "/pyserve/v2/repository/models/m/load",
    "/pyserve/api/status",
    "/pyserve/metrics",
    "/pyserve/api/models/m/deploy",
    "/pyserve/api/models/m/logs",
    "/pyserve/api/events",
    "/pyserve/api/no/such/thing",
]
#: The one route on which a user may ask for a WebSocket; `test_events` has that.
EVENTS = "/pyserve/api/events"
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CANARY = "c4n4ry-t0k3n"
STRANGERS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "nothing": ("", []),
    "bad token": ("", [("Authorization", f"token {CANARY}")]),
    "bad bearer": ("", [("Authorization", f"Bearer {CANARY}")]),
    "bad query": (f"?token={CANARY}", []),
    "bad cookie": ("", [("Cookie", f"username-127-0-0-1={CANARY}; _xsrf={CANARY}"), ("X-XSRFToken", CANARY)]),
    "bad referer": ("", [("Referer", f"http://127.0.0.1/?token={CANARY}")]),
}
UPGRADES = ["websocket", "WebSocket", "WEBSOCKET", "h2c, websocket"]


def is_refused(answer: Answer) -> bool:
    told = {} if not answer.body else answer.json()
    return answer.status == 403 and set(told) <= {"message", "reason"} and b"Traceback" not in answer.body


async def test_strangers_get_nowhere(client: Client, engine: EngineSupervisor) -> None:
    passed = []
    for route, verb, stranger in itertools.product(ROUTES, VERBS, STRANGERS):
        query, headers = STRANGERS[stranger]
        answer = await client.send(verb, route + query, headers, token=None, body=b"{}" if verb == "POST" else None)
        if not is_refused(answer):
            passed.append((route, verb, stranger, answer.status))
    assert passed == []
    assert engine.state is EngineState.IDLE


async def test_no_upgrade_for_anybody(client: Client, engine: EngineSupervisor) -> None:
    passed = []
    for route, upgrade, token in itertools.product(ROUTES, UPGRADES, ("", None)):
        headers = [
            ("Upgrade", upgrade),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ]
        if (route, token) == (EVENTS, ""):
            continue
        answer = await client.send("GET", route, headers, token=token)
        if not is_refused(answer):
            passed.append((route, upgrade, token, answer.status))
    assert passed == []
    assert engine.state is EngineState.IDLE


@pytest.mark.parametrize("verb", ["BLAH", "TRACE", "CONNECT"])
async def test_verbs_that_are_none(verb: str, client: Client, engine: EngineSupervisor) -> None:
    answer = await client.send(verb, "/pyserve/v2", token=None)
    assert answer.status == 405
    assert engine.state is EngineState.IDLE


async def test_a_foreign_host_is_refused(client: Client, engine: EngineSupervisor) -> None:
    answer = await client.send("GET", "/pyserve/v2", [("Host", "evil.example:80")])
    assert answer.status == 403
    assert engine.state is EngineState.IDLE


@pytest.mark.parametrize("form", ["Authorization: token", "Authorization: Bearer", "query"])
async def test_the_token_opens(form: str, client: Client) -> None:
    kind = form.partition(": ")[2]
    query = f"?token={client.token}" if form == "query" else ""
    headers = [("Authorization", f"{kind} {client.token}")] if kind else []
    answer = await client.send("POST", f"/pyserve/v2/models/m/infer{query}", headers, token=None, body=b"{}")
    assert answer.status == 200
    sent = json.dumps(answer.json())
    assert client.token not in sent


async def logged_in(client: Client) -> list[tuple[str, str]]:
    """The cookies of a browser that has followed a link with the token."""
    answer = await client.send("GET", f"/any/page?token={client.token}", token=None)
    pairs = [cookie.split(";")[0] for cookie in answer.all("Set-Cookie")]
    assert pairs
    return [("Cookie", "; ".join(pairs))]


async def test_a_cookie_needs_the_xsrf_header_to_change_anything(client: Client) -> None:
    cookies = await logged_in(client)
    page = await client.send("GET", "/pyserve/v2", cookies, token=None)
    assert page.status == 200
    xsrf = next(pair for pair in cookies[0][1].split("; ") if pair.startswith("_xsrf=")).partition("=")[2]
    without = await client.send("POST", "/pyserve/api/models/m/deploy", cookies, token=None, body=b"{}")
    assert is_refused(without)
    given = [*cookies, ("X-XSRFToken", xsrf)]
    answer = await client.send("POST", "/pyserve/api/models/m/deploy", given, token=None, body=b"{}")
    assert answer.status == 200
    forwarded = {name.lower() for name, _ in answer.json()["headers"]}
    assert not forwarded & {"cookie", "x-xsrftoken", "authorization"}


async def test_another_origin_with_the_users_cookie_sees_nothing(client: Client, engine: EngineSupervisor) -> None:
    cookies = await logged_in(client)
    for origin in ("http://evil.example", f"http://127.0.0.1:{client.port}.evil.example", "null"):
        answer = await client.send("GET", "/pyserve/api/models/m/logs", [*cookies, ("Origin", origin)], token=None)
        assert answer.status == 404, origin
    assert engine.state is EngineState.IDLE


class OnlyTheListed(Authorizer):
    """Allows some actions, and remembers what was asked."""

    allowed: ClassVar[set[str]] = set()
    asked: ClassVar[list[tuple[str, str]]] = []

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return action in self.allowed


class Authorizing:
    """A server that asks it."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(OnlyTheListed, "allowed", set())
        monkeypatch.setattr(OnlyTheListed, "asked", [])
        jp_server_config.ServerApp.authorizer_class = OnlyTheListed
        return jp_server_config


class TestAuthorizer(Authorizing):
    async def test_a_user_without_rights_gets_nowhere(self, client: Client, engine: EngineSupervisor) -> None:
        for route, verb in itertools.product(ROUTES, VERBS):
            answer = await client.send(verb, route, body=b"{}" if verb == "POST" else None)
            assert is_refused(answer), (route, verb)
        assert {resource for _, resource in OnlyTheListed.asked} == {"jupyter_pyserve"}
        assert engine.state is EngineState.IDLE

    @pytest.mark.parametrize(
        ("allowed", "opened"),
        [
            ({"read"}, {"GET /pyserve/v2"}),
            ({"write"}, {"POST /pyserve/v2/models/m/infer"}),
            ({"execute"}, {"POST /pyserve/api/models/m/deploy", "POST /pyserve/v2/repository/models/m/load"}),
        ],
    )
    async def test_each_action_opens_its_own(self, allowed: set[str], opened: set[str], client: Client) -> None:
        OnlyTheListed.allowed.update(allowed)
        requests = [
            ("GET", "/pyserve/v2"),
            ("POST", "/pyserve/v2/models/m/infer"),
            ("POST", "/pyserve/api/models/m/deploy"),
            ("POST", "/pyserve/v2/repository/models/m/load"),
        ]
        answers = {f"{verb} {path}": await client.send(verb, path, body=b"{}") for verb, path in requests}
        assert {request for request, answer in answers.items() if answer.status == 200} == opened
        assert all(is_refused(answer) for request, answer in answers.items() if request not in opened)

    @pytest.mark.parametrize(
        ("allowed", "frames"),
        [({"write"}, ""), ({"write", "execute"}, '\n\nAt:\n  /home/me/"x".py(7): execute\n  <string>(1): f\n')],
    )
    async def test_only_who_may_execute_code_sees_where_it_failed(
        self, allowed: set[str], frames: str, client: Client
    ) -> None:
        OnlyTheListed.allowed.update(allowed)
        answer = await client.send("POST", "/pyserve/v2/models/m/generate", body=b"")
        assert (answer.status, answer.json()) == (500, {"error": f'ValueError: "boom"{frames} and more'})

    async def test_actions_are_not_remembered(self, client: Client) -> None:
        await client.send("GET", "/pyserve/v2")
        await client.send("POST", "/pyserve/v2/models/m/infer", body=b"")
        await client.send("POST", "/pyserve/api/models/m/deploy", body=b"")
        assert [action for action, _ in OnlyTheListed.asked] == ["read", "write", "execute"]


def handlers_of(app: web.Application) -> list[tuple[str, type[web.RequestHandler]]]:
    """The handlers of the extension's routes, as tornado has them."""
    found = []
    for rule in app.default_router.rules:
        for inner in getattr(rule.target, "rules", []):
            pattern = getattr(inner.matcher, "regex", None)
            if pattern is not None and "/pyserve" in pattern.pattern:
                found.append((pattern.pattern, inner.target))
    return found


async def test_each_method_of_each_handler_is_bolted(jp_serverapp: Any) -> None:
    registered = handlers_of(jp_serverapp.web_app)
    assert [handler for _, handler in registered] == [EventsHandler, *[EngineProxyHandler] * 3]
    for _, handler in registered:
        assert set(handler.SUPPORTED_METHODS) == set(VERBS)
        for verb in handler.SUPPORTED_METHODS:
            method = getattr(handler, verb.lower())
            owner = method.__qualname__.partition(".")[0]
            assert owner in ("EngineProxyHandler", handler.__name__), f"{verb} is inherited"
            assert inspect.unwrap(method) is not method, f"{verb} is not decorated"
            assert not getattr(method, "__allow_unauthenticated", False)


def test_jupyters_own_audit_finds_nothing(jp_configurable_serverapp: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", JupyterServerAuthWarning)
        jp_configurable_serverapp()
    assert not [warning for warning in caught if "pyserve" in str(warning.message)]


@pytest.mark.parametrize(
    "path",
    [
        "/pyserve/v2/..%2f..%2fapi",
        "/pyserve/v2/%2e%2e/api/status",
        "/pyserve/v2/../../api/status",
        "/pyserve/v3",
        "/pyserve",
    ],
)
async def test_paths_cannot_escape(path: str, client: Client, engine: EngineSupervisor) -> None:
    answer = await client.send("GET", path)
    if answer.status == 200:  # a percent-encoded slash is one odd segment, and nothing else
        assert answer.json()["target"] == path.removeprefix("/pyserve")
    else:
        assert answer.status == 404
        assert engine.state is EngineState.IDLE


async def test_errors_have_no_traceback_and_no_markup(client: Client) -> None:
    canary = "<img src=x onerror=alert(1)>"
    for path in (f"/pyserve/v2/models/{canary.replace(' ', '%20')}", "/pyserve/v2/%2e%2e/x", "/pyserve/v2/no-answer"):
        answer = await client.send("GET", path)
        assert answer.all("Content-Type")[0].startswith("application/json")
        policy = answer.all("Content-Security-Policy")[0]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert answer.all("X-Content-Type-Options") == ["nosniff"]
        assert b"Traceback" not in answer.body


async def test_no_secret_gets_into_the_log(
    client: Client, engine: EngineSupervisor, jp_logging_stream: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    secret = client.token
    requests = [
        ("GET", "/pyserve/v2"),
        ("GET", "/pyserve/v2/no-answer"),
        ("GET", "/pyserve/v2/%2e%2e/x"),
        ("GET", "/pyserve/v2/cut-off"),
        ("POST", "/pyserve/v2/models/m/infer"),
    ]
    for method, path in requests:
        for token in (secret, CANARY):
            headers = [("Referer", f"http://127.0.0.1/lab?token={token}"), ("Authorization", f"token {token}")]
            with (
                pytest.raises(Exception, match="bytes")
                if (path, token) == ("/pyserve/v2/cut-off", secret)
                else nullcontext()
            ):
                await client.send(method, f"{path}?token={token}&a=b", headers, token=None, body=b"")
    await engine.stop()
    gone = await client.send(
        "GET", f"/pyserve/v2?token={secret}", [("Referer", f"http://x/?token={secret}")], token=None
    )
    assert gone.status == 503
    logged = jp_logging_stream.getvalue() + caplog.text
    assert "/pyserve/v2/no-answer" in logged
    assert secret not in logged
    assert CANARY not in logged
