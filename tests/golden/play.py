"""Asks a running server every case of a scenario, in order, and keeps the normalised answers by the case's name."""

from __future__ import annotations

import json
import logging
import re
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.golden import rpc
from tests.golden.case import AnyCase, Call, Case, Kept, Logged, Rpc, Scenario, Scrape, http
from tests.golden.exchange import CLOSED, GONE, TIMEOUT, Answer, exchange
from tests.golden.normalise import normalised, shown
from tests.golden.server import DidNotStart, Ports, free_ports, running

Answers = dict[str, list[Answer]]

SETTLE_TIMEOUT_S = 60.0

#: How often a start is tried, and what ends a server is asked: somebody may take a port meanwhile, on a busy machine a
#: Triton's locks time out, and some of its crashes are races.
_ATTEMPTS = 5

_INDEX = http("POST", "/v2/repository/index")
_LIVE = http("GET", "/v2/health/live")
_STUB_GONE = re.compile(r"error\W+Stub process '[^']*' is not healthy")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Server:
    """A running server, and where its log goes."""

    ports: Ports
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.ports.http)


def play(scenario: Scenario, template: str, *, repository: Path, log: Path, restarts: int = 0) -> Answers:
    """Starts the server for the scenario and asks it everything.

    A server that ends meanwhile is started again, so many times: where that matters it is reminded of what it was
    asked before, but for what has ended a server, and it is asked the same again. What ended it is said.
    """
    hidden = {str(repository): "<repository>"}
    answers: Answers = {}
    waiting = deque(scenario.cases)
    fatal: Counter[str] = Counter()
    failures = 0
    while waiting:
        server = _Server(Ports(*free_ports(3)), log)
        try:
            with running(template, repository=repository, options=scenario.options, log=log, ports=server.ports):
                failures = 0
                for case in scenario.cases[: len(answers)] if scenario.remembers else ():
                    if not fatal[case.name]:
                        _ask(server, case)
                while waiting:
                    name, found = waiting[0].name, normalised(_ask(server, waiting[0]), hidden)
                    lost = fatal.total() < restarts and _is_lost(server, found)
                    if lost:
                        fatal[name] += 1
                        _log.warning("%s/%s ended the server (%d)", scenario.name, name, fatal[name])
                    if not lost or fatal[name] >= _ATTEMPTS:
                        answers[name] = found
                        waiting.popleft()
                    if lost:
                        break
        except DidNotStart as error:
            failures += 1
            last = "\n".join(str(error).strip().splitlines()[-3:])
            _log.warning("%s, before %s, no server: %s", scenario.name, waiting[0].name, last)
            if not restarts or failures >= _ATTEMPTS:
                return answers | {case.name: [GONE] for case in waiting}
    return answers


def _is_lost(server: _Server, answers: list[Answer]) -> bool:
    """Whether the server, or a process of a model, has ended; to close a connection may be an answer."""
    if _STUB_GONE.search(str(answers)):
        return True
    if not any(each in (GONE, CLOSED, TIMEOUT) or each.get("code") == "UNAVAILABLE" for each in answers):
        return False
    return "status" not in exchange(server.address, _LIVE)[0]


def _ask(server: _Server, case: AnyCase) -> list[Answer]:
    match case:
        case Case():
            return _ask_http(server, case)
        case Rpc():
            return rpc.call(server.ports.grpc, case)
        case Call():
            return [rpc.ask(server.ports.grpc, case)]
        case Scrape():
            return _scrape(server, case)
        case Logged():
            lines = server.log.read_text(errors="replace").splitlines()
            return [{"line": line[:1] + line[line.index("]") :]} for line in lines if case.word in line and "]" in line]


def _scrape(server: _Server, case: Scrape) -> list[Answer]:
    try:
        page = urlopen(f"http://127.0.0.1:{server.ports.metrics}/metrics", timeout=20).read().decode()
    except OSError:
        return [GONE]
    lines = [line for line in page.splitlines() if any(word in line for word in case.words)]
    return [{"lines": sorted(lines)}]  # the order of families and series means nothing


def _ask_http(server: _Server, case: Case) -> list[Answer]:
    if case.settled:
        _wait_until_settled(server.address)
    answers = _exchanged(server, case)
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while case.steady and time.monotonic() < deadline:
        time.sleep(0.1)
        before, answers = answers, _exchanged(server, case)
        if answers == before:
            break
    if case.kept is Kept.ALL:
        return answers
    return [_reduced(answer, case.kept) for answer in answers]


def _exchanged(server: _Server, case: Case) -> list[Answer]:
    return exchange(server.address, case.request, answers=case.answers, then=case.then, timeout_s=case.timeout_s)


def _reduced(answer: Answer, kept: Kept) -> Answer:
    if "status" not in answer:
        return answer
    if kept is Kept.OUTPUTS and answer["status"] == 200 and "body" in answer:
        outputs: list[dict[str, Any]] = json.loads(answer["body"])["outputs"]
        return {each["name"]: shown(each["datatype"], each["shape"], each["data"]) for each in outputs}
    return {key: answer[key] for key in ("status", "body", "json", "binary") if key in answer}


def _wait_until_settled(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while time.monotonic() < deadline:
        rows = json.loads(exchange(address, _INDEX)[0].get("body", "[]"))
        if not any(row.get("state") in ("LOADING", "UNLOADING") for row in rows):
            return
        time.sleep(0.05)
