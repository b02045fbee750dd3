"""`async def execute` with real stubs: what overlaps, what does not, how many at once, and how each one ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jupyter_pyserve.errors import Code
from tests.process.inside import Inside, model_config, serving
from tests.process.test_streams import DROPPED, FAILED, UNHEALTHY, play

#: A positive number waits until -1 comes, and answers with itself and how many were at work at once.
MEETING = """
def initialize(self, args):
    self.running = self.most = 0
    self.gate = asyncio.Event()

async def execute(self, requests):
    self.running += 1
    self.most = max(self.most, self.running)
    number = value(requests[0])
    if number < 0:
        self.gate.set()
    await self.gate.wait()
    self.running -= 1
    ANSWER
"""
SENDING = MEETING.replace("ANSWER", "requests[0].get_response_sender().send(out(self.most), FINAL)")
RETURNING = MEETING.replace("ANSWER", "return [out(self.most)]")


def test_coroutines_of_a_decoupled_model_interleave(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(10)]
        assert await inside.ask(-1).values() == [11]
        assert [await item.values() for item in asked] == [[11]] * 10
        statistics = inside.servable.statistics
        await inside.until(lambda: statistics.success_count == 11, "all are counted")
        assert statistics.execution_count == 11

    play(tmp_path, scenario, SENDING)


def test_responses_of_coroutines_come_as_they_are_sent(tmp_path: Path) -> None:
    body = """
def initialize(self, args):
    self.turn = asyncio.Condition()
    self.sent = 0

async def execute(self, requests):
    sender, number = requests[0].get_response_sender(), value(requests[0])
    for step in range(3):
        async with self.turn:
            await self.turn.wait_for(lambda: self.sent % 2 == number)
            sender.send(out(self.sent))
            self.sent += 1
            self.turn.notify_all()
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        first, second = inside.ask(0), inside.ask(1)
        assert await first.values() == [0, 2, 4]
        assert await second.values() == [1, 3, 5]

    play(tmp_path, scenario, body)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("decoupled", [True, False])
def test_no_more_than_the_limit_at_once(tmp_path: Path, limit: int, decoupled: bool) -> None:
    body = (SENDING if decoupled else RETURNING).replace("if number < 0:", f"if self.running == {limit}:")

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(12)]
        for conversation in asked:
            assert max(await conversation.values()) <= limit

    play(tmp_path, scenario, body, decoupled=decoupled, MAX_CONCURRENCY=str(limit))


def test_what_exceeds_the_limit_waits_in_the_queue(tmp_path: Path) -> None:
    body = """
async def execute(self, requests):
    while value(requests[0]) == 0 and not requests[0].is_cancelled():
        await asyncio.sleep(0.001)
    requests[0].get_response_sender().send(out(1), FINAL)
"""

    async def scenario(inside: Inside) -> None:
        running = [inside.ask(0) for _ in range(2)]
        queued = [inside.ask(1) for _ in range(3)]
        await inside.until(lambda: not inside.instance.in_flight, "two are running")
        assert inside.instance.room == 0
        assert inside.servable.pending == 3
        inside.cancel(queued[1])
        assert inside.servable.pending == 2
        for conversation in running:
            inside.cancel(conversation)
        assert await queued[0].values() == await queued[2].values() == [1]
        assert not queued[1].waiting

    play(tmp_path, scenario, body, MAX_CONCURRENCY="2")


def test_a_coroutine_counts_until_it_has_ended(tmp_path: Path) -> None:
    body = """
def initialize(self, args):
    self.running = 0

async def execute(self, requests):
    self.running += 1
    requests[0].get_response_sender().send(out(self.running), FINAL)
    await asyncio.sleep(0.01)
    self.running -= 1
"""

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(6)]
        assert [await item.values() for item in asked] == [[1]] * 6

    play(tmp_path, scenario, body, MAX_CONCURRENCY="1")


def test_the_limit_holds_for_sequences(tmp_path: Path) -> None:
    body = """
def initialize(self, args):
    self.running = 0

async def execute(self, requests):
    self.running += 1
    requests[0].get_response_sender().send(out(self.running))
    await asyncio.sleep(0.002)
    self.running -= 1
    requests[0].get_response_sender().send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number, sequence_id=number % 3 + 1, sequence_start=number < 3) for number in range(9)]
        assert [await item.values() for item in asked] == [[1]] * 9

    play(
        tmp_path,
        scenario,
        body,
        extra="sequence_batching { oldest { max_candidate_sequences: 4 } }",
        MAX_CONCURRENCY="1",
    )


def test_a_sender_in_a_thread_counts_too(tmp_path: Path) -> None:
    body = """
def initialize(self, args):
    self.open = 0

def execute(self, requests):
    self.open += 1
    threading.Thread(target=self.send, args=(requests[0].get_response_sender(),)).start()

def send(self, sender):
    time.sleep(0.005)
    number = self.open
    self.open -= 1
    sender.send(out(number), FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(6)]
        assert max([max(await item.values()) for item in asked]) <= 2

    play(tmp_path, scenario, body, MAX_CONCURRENCY="2")


def test_batches_of_a_model_that_is_not_decoupled_do_not_overlap(tmp_path: Path) -> None:
    body = RETURNING.replace("await self.gate.wait()", "await asyncio.sleep(0.002)")

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(10)]
        assert [await item.values() for item in asked] == [[1]] * 10

    play(tmp_path, scenario, body, decoupled=False)


def test_they_overlap_where_that_is_wanted(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(3)]
        assert await inside.ask(-1).values() == [4]
        assert [await item.values() for item in asked] == [[4]] * 3
        statistics = inside.servable.statistics
        assert (statistics.success_count, statistics.execution_count) == (4, 4)
        assert statistics.compute_infer_ns > 0

    play(tmp_path, scenario, RETURNING, decoupled=False, MAX_CONCURRENCY="4")


@pytest.mark.parametrize("limit", [None, "4"])
@pytest.mark.parametrize("decoupled", [True, False])
def test_an_exception_ends_its_own_requests(tmp_path: Path, decoupled: bool, limit: str | None) -> None:
    body = """
async def execute(self, requests):
    await asyncio.sleep(0)
    if value(requests[0]) == 1:
        raise ValueError("boom")
    ANSWER
"""
    answer = "requests[0].get_response_sender().send(out(7), FINAL)" if decoupled else "return [out(7)]"

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(3)]
        (item,) = await asked[1].all()
        assert item.code is Code.INTERNAL
        assert item.text.startswith(f"{FAILED}ValueError: boom\n\nAt:\n")
        assert await asked[0].values() == await asked[2].values() == [7]
        statistics = inside.servable.statistics
        await inside.until(lambda: statistics.success_count == 2, "all are counted")
        assert statistics.fail_count == 1

    config: dict[str, Any] = {} if limit is None else {"MAX_CONCURRENCY": limit}
    play(tmp_path, scenario, body.replace("ANSWER", answer), decoupled=decoupled, **config)


def test_an_exception_after_some_responses(tmp_path: Path) -> None:
    body = """
async def execute(self, requests):
    requests[0].get_response_sender().send(out(1))
    await asyncio.sleep(0)
    raise SystemExit(3)
"""

    async def scenario(inside: Inside) -> None:
        for _ in range(2):  # the loop has survived
            first, last = await inside.ask().all()
            assert first.outputs["OUT"] == [1]
            assert last.text.startswith(f"{FAILED}SystemExit: 3\n")

    play(tmp_path, scenario, body)


def test_a_lost_exception_is_only_logged_where_that_is_wanted(tmp_path: Path) -> None:
    body = """
async def execute(self, requests):
    if value(requests[0]) < 0:
        requests[0].get_response_sender().send(out(1), FINAL)
    raise ValueError("boom")
"""

    async def scenario(inside: Inside) -> None:
        lost = inside.ask(0)
        assert await inside.ask(-1).values() == [1]
        await inside.until(lambda: inside.log().count("ValueError: boom") == 2, "both are logged")
        assert not lost.waiting
        inside.servable.kill()
        assert (await lost.next()).text == UNHEALTHY

    play(tmp_path, scenario, body, KEEP_UNFINISHED_REQUESTS="yes")


def test_a_coroutine_that_forgets_final(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        (item,) = await inside.ask().all()
        assert (item.code, item.text) == (Code.INTERNAL, DROPPED)

    play(tmp_path, scenario, "async def execute(self, requests):\n    await asyncio.sleep(0)")


def test_what_a_decoupled_coroutine_returns_does_not_matter(tmp_path: Path) -> None:
    body = """
async def execute(self, requests):
    requests[0].get_response_sender().send(out(1), FINAL)
    return 3
"""

    async def scenario(inside: Inside) -> None:
        assert await inside.ask().values() == [1]

    play(tmp_path, scenario, body)


@pytest.mark.parametrize("decoupled", [True, False])
def test_running_coroutines_die_with_their_stub(tmp_path: Path, decoupled: bool) -> None:
    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(3)]
        await inside.until(lambda: not inside.instance.in_flight, "all have begun")
        inside.servable.kill()
        for conversation in asked:
            (item,) = await conversation.all()
            assert (item.code, item.text) == (Code.INTERNAL, UNHEALTHY)
        assert await inside.ask(-1).values() == [1]

    play(tmp_path, scenario, SENDING if decoupled else RETURNING, decoupled=decoupled, MAX_CONCURRENCY="9")


def test_a_limit_that_is_none_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, SENDING, model_config(MAX_CONCURRENCY="0"), exit_on_error=False) as inside:
            (row,) = inside.service.index()
            text = "parameter 'MAX_CONCURRENCY' of model 'm' must be a whole number of at least 1, but is '0'"
            assert row["reason"] == f"Invalid argument: {text}"

    asyncio.run(run())
