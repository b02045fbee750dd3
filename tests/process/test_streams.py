"""Decoupled models with real stubs: any number of responses, from anywhere, at any time, and every request ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_pyserve.errors import Code
from tests.process.inside import Inside, model_config, serving

Scenario = Callable[[Inside], Awaitable[None]]
UNHEALTHY = "Stub process 'm_0' is not healthy."
FAILED = "Failed to process the request(s) for model 'm_0', message: "
DROPPED = (
    "nothing can end this request any more: its response sender was dropped without "
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL"
)


def play(folder: Path, scenario: Scenario, body: str, *, settled: bool = True, **config: Any) -> None:
    """A scenario after which every request has ended and all memory has been given back."""

    async def run() -> None:
        async with serving(folder, body, model_config(**config)) as inside:
            await scenario(inside)
            if settled:
                await inside.settled()

    gc.collect()  # what other tests left may hold descriptors
    before = sorted(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert sorted(os.listdir("/proc/self/fd")) == before


REPEAT = """
def execute(self, requests):
    for request in requests:
        sender = request.get_response_sender()
        for number in range(int(value(request))):
            sender.send(out(number))
        sender.send(flags=FINAL)
"""

#: Sends from a thread that waits until it is told, and ends the request with what it sends.
LATER = """
def initialize(self, args):
    self.go = threading.Event()

def execute(self, requests):
    for request in requests:
        if value(request) < 0:
            self.go.set()
            request.get_response_sender().send(out(-1), FINAL)
        else:
            threading.Thread(target=self.send, args=(request.get_response_sender(), value(request))).start()

def send(self, sender, number):
    sender.send(out(number))
    self.go.wait()
    sender.send(out(number + 1), FINAL)
"""


# -- responses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 3, 3000])
def test_any_number_of_responses(tmp_path: Path, count: int) -> None:
    async def scenario(inside: Inside) -> None:
        items = await inside.ask(count).all()
        assert [item.outputs["OUT"][0] for item in items[:-1]] == list(range(count))
        assert items[-1].bare
        assert items[-1].code is None

    play(tmp_path, scenario, REPEAT)


def test_final_comes_with_the_last_response_or_alone(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    sender = requests[0].get_response_sender()
    if value(requests[0]):
        sender.send(out(1), FINAL)
    else:
        sender.send(out(1))
        sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        assert [(item.final, item.bare) for item in await inside.ask(1).all()] == [(True, False)]
        assert [(item.final, item.bare) for item in await inside.ask(0).all()] == [(False, False), (True, True)]

    play(tmp_path, scenario, body)


def test_a_response_is_there_before_execute_returns(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    body = f"""
def execute(self, requests):
    sender = requests[0].get_response_sender()
    sender.send(out(1))
    open({str(tmp_path / "gate")!r}).read()
    sender.send(out(2), FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = inside.ask()
        assert (await asked.next()).outputs["OUT"] == [1]
        assert inside.instance.in_flight
        (tmp_path / "gate").write_text("go")
        assert await asked.values() == [2]

    play(tmp_path, scenario, body)


def test_threads_send_after_execute_has_returned(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(10 * number) for number in range(20)]
        for number, conversation in enumerate(asked):
            assert (await conversation.next()).outputs["OUT"] == [10 * number]
        await inside.until(lambda: not inside.instance.in_flight, "execute has returned")
        assert inside.servable.outstanding == 20
        await inside.ask(-1).all()
        assert [await item.values() for item in asked] == [[10 * number + 1] for number in range(20)]

    play(tmp_path, scenario, LATER)


def test_many_threads_send_to_one_request(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    sender = requests[0].get_response_sender()
    threads = [threading.Thread(target=self.send, args=(sender, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.send(flags=FINAL)

def send(self, sender, number):
    for step in range(200):
        sender.send(out(1000 * number + step))
"""

    async def scenario(inside: Inside) -> None:
        values = await inside.ask().values()
        assert sorted(values) == sorted(1000 * number + step for number in range(8) for step in range(200))
        for number in range(8):  # what one thread says is in its order
            own = [item for item in values if item // 1000 == number]
            assert own == sorted(own)

    play(tmp_path, scenario, body)


def test_errors_are_responses_too(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    sender = requests[0].get_response_sender()
    sender.send(out(1))
    sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("not this one", pb_utils.TritonError.NOT_FOUND)))
    sender.send(out(2))
    sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("the end")), FINAL)
"""

    async def scenario(inside: Inside) -> None:
        items = await inside.ask().all()
        assert [(item.code, item.text) for item in items] == [
            (None, ""),
            (Code.NOT_FOUND, "not this one"),
            (None, ""),
            (Code.INTERNAL, "the end"),
        ]

    play(tmp_path, scenario, body)


def test_a_batch_is_answered_in_any_order(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    for step in range(3):
        for request in reversed(requests):
            request.get_response_sender().send(out(value(request) + step), FINAL if step == 2 else 0)
"""

    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(10 * number) for number in range(4)]
        assert [await item.values() for item in asked] == [
            [10 * number + step for step in range(3)] for number in range(4)
        ]
        assert inside.servable.statistics.execution_count < 4

    play(tmp_path, scenario, body, extra="max_batch_size: 4 dynamic_batching { max_queue_delay_microseconds: 100000 }")


# -- requests that end otherwise --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 2])
def test_execute_raises_after_any_number_of_responses(tmp_path: Path, sent: int) -> None:
    body = f"""
def execute(self, requests):
    for number in range({sent}):
        requests[0].get_response_sender().send(out(number))
    raise ValueError("boom")
"""

    async def scenario(inside: Inside) -> None:
        items = await inside.ask().all()
        assert len(items) == sent + 1
        assert items[-1].code is Code.INTERNAL
        assert items[-1].text.startswith(f"{FAILED}ValueError: boom\n\nAt:\n")
        assert inside.servable.statistics.fail_count == 1

    play(tmp_path, scenario, body)


@pytest.mark.parametrize("deed", ['raise ValueError("boom")', "return [out(9)]"])
def test_what_follows_final_is_only_logged(tmp_path: Path, deed: str) -> None:
    body = f"""
def execute(self, requests):
    requests[0].get_response_sender().send(out(1), FINAL)
    {deed}
"""

    async def scenario(inside: Inside) -> None:
        assert [item.code for item in await inside.ask().all()] == [None]
        await inside.until(lambda: FAILED in inside.log(), "it is logged")

    play(tmp_path, scenario, body)


def test_a_list_is_no_answer_of_a_decoupled_model(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        (item,) = await inside.ask().all()
        text = "Python model 'm_0' is using the decoupled mode and the execute function must return None."
        assert (item.code, item.text) == (Code.INTERNAL, FAILED + text)

    play(tmp_path, scenario, "def execute(self, requests):\n    return [out(1)]")


@pytest.mark.parametrize(
    "execute",
    [
        "requests[0].get_response_sender().send(out(1))",
        "sender = requests[0].get_response_sender(); sender.send(out(1)); self.cycle = [sender]; self.cycle = None",
    ],
)
def test_a_forgotten_final_ends_the_request_and_says_so(tmp_path: Path, execute: str) -> None:
    async def scenario(inside: Inside) -> None:
        first, last = await inside.ask().all()
        assert first.outputs["OUT"] == [1]
        assert (last.code, last.text) == (Code.INTERNAL, DROPPED)

    play(tmp_path, scenario, f"def execute(self, requests):\n    {execute}")


def test_a_thread_that_dies_without_final_ends_its_request(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    threading.Thread(target=self.send, args=(requests.pop().get_response_sender(),)).start()

def send(self, sender):
    sender.send(out(1))
    raise ValueError("boom")
"""

    async def scenario(inside: Inside) -> None:
        first, last = await inside.ask().all()
        assert first.outputs["OUT"] == [1]
        assert (last.code, last.text) == (Code.INTERNAL, f"{DROPPED}; its thread ended with ValueError: boom")
        await inside.until(lambda: "ValueError: boom" in inside.log(), "the thread's traceback is in the log")

    play(tmp_path, scenario, body)


def test_unfinished_requests_are_kept_where_that_is_wanted(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    if value(requests[0]):
        requests[0].get_response_sender().send(out(1), FINAL)
    else:
        requests[0].get_response_sender().send(out(1))
"""

    async def scenario(inside: Inside) -> None:
        forgotten = inside.ask(0)
        await forgotten.next()
        await inside.ask(1).all()
        assert not forgotten.waiting
        assert inside.servable.outstanding == 1
        inside.servable.kill()
        assert (await forgotten.next()).text == UNHEALTHY

    play(tmp_path, scenario, body, KEEP_UNFINISHED_REQUESTS="yes")


# -- death, cancellation, the end -------------------------------------------------------------------------------------


def test_a_stub_that_dies_ends_every_stream(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = [inside.ask(number) for number in range(5)]
        for conversation in asked:
            await conversation.next()
        os.kill(inside.instance.pid, signal.SIGKILL)
        for conversation in asked:
            (item,) = await conversation.all()
            assert (item.code, item.text) == (Code.INTERNAL, UNHEALTHY)
        again = inside.ask(-1)
        assert await again.values() == [-1]

    play(tmp_path, scenario, LATER)


def test_a_stub_that_dies_while_it_sends(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = inside.ask(1_000_000)
        for _ in range(100):
            await asked.next()
        os.kill(inside.instance.pid, signal.SIGKILL)
        items = await asked.all()
        assert {item.code for item in items[:-1]} <= {None}
        assert (items[-1].code, items[-1].text) == (Code.INTERNAL, UNHEALTHY)
        assert await inside.ask(2).values() == [0, 1]

    play(tmp_path, scenario, REPEAT)


def test_cancellation_reaches_a_sender_in_a_thread(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    for request in requests:
        if value(request) < 0:
            request.get_response_sender().send(out(-1), FINAL)
        else:
            threading.Thread(target=self.send, args=(request.get_response_sender(),)).start()

def send(self, sender):
    count = 0
    while not sender.is_cancelled():
        if count < 3:
            sender.send(out(count))
            count += 1
        time.sleep(0.001)
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = inside.ask()
        for number in range(3):
            assert (await asked.next()).outputs["OUT"] == [number]
        inside.cancel(asked)
        await inside.until(lambda: not inside.servable.outstanding, "the model has given up")
        assert not asked.waiting
        assert await inside.ask(-1).values() == [-1]

    play(tmp_path, scenario, body)


def test_cancellation_reaches_a_model_that_streams_in_execute(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    sender = requests[0].get_response_sender()
    while not requests[0].is_cancelled():
        sender.send(out(1, 1000))
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = inside.ask()
        await asked.next()
        inside.cancel(asked)
        await inside.until(lambda: not inside.servable.outstanding, "the model has given up")

    play(tmp_path, scenario, body)


def test_an_unload_waits_for_streams(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = inside.ask(5)
        await asked.next()
        unloading = asyncio.create_task(inside.servable.drain(30))
        await asyncio.sleep(0)
        assert not unloading.done()
        await inside.ask(-1).all()
        assert await asked.values() == [6]
        await unloading

    play(tmp_path, scenario, LATER)


def test_a_restart_waits_for_streams(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        asked = inside.ask(5)
        await asked.next()
        old = inside.instance
        await inside.servable.restart()
        assert inside.instance is not old
        assert old.alive
        old.execute([[_job(inside, -1)]], 0)
        assert await asked.values() == [6]
        await inside.until(lambda: not old.alive, "it has gone")

    play(tmp_path, scenario, LATER)


def _job(inside: Inside, value: float) -> Any:
    """A request that is only made, to be given to a certain instance."""
    given: list[Any] = []
    servable = inside.servable
    submit = servable.submit
    servable.submit = given.append  # type: ignore[method-assign,assignment]
    try:
        inside.ask(value)
    finally:
        servable.submit = submit  # type: ignore[method-assign]
    return given[0]


# -- memory -----------------------------------------------------------------------------------------------------------


def test_a_client_that_does_not_read_holds_the_model_back(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    sender = requests[0].get_response_sender()
    for number in range(int(value(requests[0]))):
        sender.send(out(number, 1 << 20))
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = inside.ask(100, greedy=False)
        await inside.until(lambda: asked.waiting >= 32, "the model has sent what may be unread")
        assert inside.instance.responses.capacity < 300 << 20
        asked.release()
        assert len(await asked.all()) == 101

    play(tmp_path, scenario, body)


def test_what_is_kept_does_not_stop_a_model_for_ever(tmp_path: Path) -> None:
    body = """
def initialize(self, args):
    from pyserve_stub import session
    session._UNREAD_BLOCKS, session._STALL_S = 10, 0.05

def execute(self, requests):
    sender = requests[0].get_response_sender()
    for number in range(35):
        sender.send(out(number))
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = inside.ask(greedy=False)
        assert len(await asked.all()) == 36
        asked.release()

    play(tmp_path, scenario, body)


def test_outputs_that_are_inputs_may_be_sent_again_and_again(tmp_path: Path) -> None:
    body = """
def execute(self, requests):
    sender = requests[0].get_response_sender()
    tensor = pb_utils.Tensor("OUT", requests[0].inputs()[0].as_numpy())
    for _ in range(3):
        sender.send(pb_utils.InferenceResponse([tensor]))
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside) -> None:
        asked = inside.ask(7, greedy=False)
        items = await asked.all()
        assert [float(item.outputs["OUT"][0]) for item in items[:-1]] == [7, 7, 7]
        assert inside.servable.arena.used
        asked.release()

    play(tmp_path, scenario, body)
