"""An engine that is made up: its status, its events and its answers, given inside the browser."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, WebSocketRoute

API = "**/user/tester/pyserve/"


def instance_status(name: str = "adder_0", **changes: object) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1",
        "pid": 4242,
        "start_ticks": 1000,
        "state": "READY",
        "kind": "KIND_CPU",
        "requests": 7,
        "failures": 0,
        "restarts": 0,
        "busy_since_s": None,
        "current_request": None,
        "uptime_s": 75.0,
        "rss_bytes": 90 << 20,
        "pss_bytes": 31 << 20,
        "uss_bytes": 20 << 20,
        "cpu_percent": 2.5,
        "threads": 3,
        "fds": 12,
        "gpu": None,
        "unavailable": {"gpu": "no NVIDIA driver on this machine"},
        "arena_bytes": 1 << 20,
        "arena_used_bytes": 1 << 12,
        "latency_ms": {"p50": 0.4, "p99": 1.9},
        "batch_sizes": {"1": 5, "2": 2},
        "last_exit": None,
        "last_error": None,
        "draining": False,
        "debug": None,
        **changes,
    }


def model_status(name: str = "adder", **changes: object) -> dict[str, Any]:
    return {
        "name": name,
        "state": "READY",
        "reason": "",
        "versions": [{"version": "1", "state": "READY", "reason": ""}],
        "instances": [instance_status(f"{name}_0")],
        "max_batch_size": 8,
        "decoupled": False,
        "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [-1, 2]}],
        "owner": "work/quickstart.ipynb",
        "queue_depth": 0,
        "in_flight": 0,
        "statistics": {
            "success": 7,
            "failure": 0,
            "rejected": 0,
            "inference_count": 9,
            "batch_sizes": {"1": 5, "2": 2},
        },
        "latency_ms": {"p50": 0.4, "p99": 1.9},
        "deploys": [],
        "recordings": 0,
        "loading_error": None,
        **changes,
    }


class FakeEngine:
    """Answers for the engine. What tests change in `models` is sent with the next event, or the next answer."""

    def __init__(self, page: Page, *, events: bool = True) -> None:
        self.models: list[dict[str, Any]] = [model_status()]
        self.problem: str | None = None
        self.posts: list[tuple[str, Any]] = []
        self.gets: list[str] = []
        self.answers: dict[str, Callable[[Any], dict[str, Any]]] = {}
        self.sockets: list[WebSocketRoute] = []
        self.open_sockets = 0
        self._events = events
        page.route(f"{API}**", self._answer)
        page.route_web_socket(f"{API}api/events*", self._connect)

    @property
    def status(self) -> dict[str, Any]:
        engine = {
            "pid": 99,
            "version": "0.1.0",
            "started_at": 0.0,
            "state": "READY",
            "repositories": ["/models"],
            "http_url": "http://127.0.0.1:8000",
            "grpc_url": "127.0.0.1:8001",
            "cpu_percent": 1.5,
            "pss_bytes": 44 << 20,
            "host": {"cpu_percent": 37.0, "memory_used_bytes": 3 << 30, "memory_total_bytes": 8 << 30},
            "shared": [],
        }
        return {"engine": engine, "models": self.models}

    def push(self, message: dict[str, Any] | None = None) -> None:
        """Sends a message, or all there is, to everyone who listens."""
        text = json.dumps(message or {"type": "snapshot", "seq": 2, "status": self.status})
        for socket in self.sockets:
            socket.send(text)

    def fall(self, problem: str) -> None:
        """From now on there is no engine."""
        self.problem = problem
        for socket in self.sockets:
            socket.close()
        self.sockets.clear()

    def _connect(self, socket: WebSocketRoute) -> None:
        if not self._events or self.problem is not None:
            socket.close()
            return
        self.open_sockets += 1
        self.sockets.append(socket)
        socket.on_close(lambda _code, _reason: self._closed(socket))
        socket.send(json.dumps({"type": "snapshot", "seq": 1, "status": self.status}))

    def _closed(self, socket: WebSocketRoute) -> None:
        self.open_sockets -= 1
        if socket in self.sockets:
            self.sockets.remove(socket)

    def _answer(self, route: Route) -> None:
        request = route.request
        endpoint = urllib.parse.unquote(urllib.parse.urlsplit(request.url).path.partition("/pyserve/")[2])
        if self.problem is not None:
            route.fulfill(status=503, json={"error": self.problem})
            return
        body = json.loads(request.post_data or "null")
        if request.method == "POST":
            self.posts.append((endpoint, body))
        else:
            self.gets.append(endpoint)
        if endpoint in self.answers:
            route.fulfill(**self.answers[endpoint](body))
        elif endpoint == "api/status":
            route.fulfill(json=self.status)
        elif endpoint.endswith("/logs"):
            route.fulfill(json={"records": [], "next": 0})
        else:
            if endpoint.endswith("/undeploy"):
                self.models = []
            route.fulfill(json={})
