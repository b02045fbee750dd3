"""Asks a running server every case of a scenario, in order, and keeps the normalised answers by the case's name."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.golden.case import Case, Scenario, http
from tests.golden.exchange import Answer, exchange
from tests.golden.normalise import normalised
from tests.golden.server import running

Answers = dict[str, list[Answer]]

SETTLE_TIMEOUT_S = 60.0

_INDEX = http("POST", "/v2/repository/index")


def play(scenario: Scenario, template: str, *, repository: Path, log: Path) -> Answers:
    """Starts the server for the scenario and asks it everything."""
    hidden = {str(repository): "<repository>"}
    with running(template, repository=repository, options=scenario.options, log=log) as address:
        return {case.name: normalised(_ask(address, case), hidden) for case in scenario.cases}


def _ask(address: tuple[str, int], case: Case) -> list[Answer]:
    if case.settled:
        _wait_until_settled(address)
    return exchange(address, case.request, answers=case.answers, then=case.then)


def _wait_until_settled(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while time.monotonic() < deadline:
        rows = json.loads(exchange(address, _INDEX)[0]["body"])
        if not any(row.get("state") in ("LOADING", "UNLOADING") for row in rows):
            return
        time.sleep(0.05)
