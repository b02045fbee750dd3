"""Decoupled models that release requests to see them again: what they sent has left, and inputs stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.errors import Code
from tests.process.inside import Inside
from tests.process.test_streams import play

AGAIN = "request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)"
ITERATIVE = "sequence_batching { iterative_sequence: true }"

#: Sends one response in each execution, and counts down what it was asked for.
COUNT_DOWN = f"""
def initialize(self, args):
    self.left = {{}}

def execute(self, requests):
    for request in requests:
        left = self.left[request.correlation_id()] = self.left.get(request.correlation_id(), value(request)) - 1
        sender = request.get_response_sender()
        if left > 0:
            {AGAIN}
            sender.send(out(left))
        else:
            sender.send(out(left), FINAL)
"""


def test_a_response_in_each_execution(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        first, second = inside.ask(4), inside.ask(2)
        assert await first.values() == [3, 2, 1, 0]
        assert await second.values() == [1, 0]
        counts = inside.servable.statistics
        await inside.until(lambda: counts.inference_count == 6, "all executions are counted")
        assert (counts.success_count, counts.fail_count) == (6, 0)

    play(tmp_path, scenario, COUNT_DOWN, extra=ITERATIVE)


def test_inputs_that_every_execution_keeps_are_given_back_when_all_are_dropped(tmp_path: Path) -> None:
    body = f"""
def initialize(self, args):
    self.kept = []

def execute(self, requests):
    [request] = requests
    if value(request) < 0:
        self.kept.clear()
    else:
        self.kept.append(request.inputs()[0].as_numpy())
    if value(request) > 0 and len(self.kept) % 3:
        {AGAIN}
    else:
        total = sum(float(array[0]) for array in self.kept)
        request.get_response_sender().send(out(total), FINAL)
"""

    async def scenario(inside: Inside) -> None:
        assert await inside.ask(5).values() == [15]
        held = inside.servable.arena.used
        assert held
        assert await inside.ask(7).values() == [36]
        assert inside.servable.arena.used == 2 * held
        assert await inside.ask(-1).values() == [0]

    play(tmp_path, scenario, body, extra=ITERATIVE)


@pytest.mark.parametrize("extra", ["", "dynamic_batching { }"])
def test_what_was_sent_before_arrives_although_the_request_cannot_come_again(tmp_path: Path, extra: str) -> None:
    async def scenario(inside: Inside) -> None:
        sent, refused = await inside.ask(2).all()
        assert sent.outputs["OUT"][0] == 1
        assert (refused.code, refused.final) == (Code.INTERNAL, True)
        assert refused.text.startswith("Request is released with TRITONSERVER_REQUEST_RELEASE_RESCHEDULE, while")

    play(tmp_path, scenario, COUNT_DOWN, extra=extra)


def test_a_cancelled_request_is_not_executed_again(tmp_path: Path) -> None:
    body = f"""
def initialize(self, args):
    self.executions = 0

def execute(self, requests):
    self.executions += 1
    for request in requests:
        if value(request) < 0:
            request.get_response_sender().send(out(self.executions), FINAL)
            continue
        request.get_response_sender().send(out(1))
        while not request.is_cancelled():
            time.sleep(0.001)
        {AGAIN}
"""

    async def scenario(inside: Inside) -> None:
        endless = inside.ask(1)
        await endless.next()
        inside.cancel(endless)
        assert await inside.ask(-1).values() == [2]

    play(tmp_path, scenario, body, extra=ITERATIVE)


def test_a_request_that_was_answered_does_not_come_again(tmp_path: Path) -> None:
    body = f"""
def execute(self, requests):
    for request in requests:
        request.get_response_sender().send(out(7), FINAL)
        {AGAIN}
"""

    async def scenario(inside: Inside) -> None:
        assert await inside.ask(1).values() == [7]
        assert await inside.ask(1).values() == [7]
        await inside.until(lambda: inside.servable.statistics.execution_count == 2, "both are executed")

    play(tmp_path, scenario, body, extra=ITERATIVE)
