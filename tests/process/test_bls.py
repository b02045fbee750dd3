"""Models that call models, with real processes: each test hands the code of the calling model over with its request."""

from __future__ import annotations

import os
import signal
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from tests.process.client import Answer, command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.repository import config, source
from tests.process.waiting import wait_until


@pytest.fixture
def caller(engine: Engine) -> str:
    """A model that runs the code it is sent."""
    return loaded(engine, "scripted")


def run(engine: Engine, model: str, code: str, data: Any = None, **arguments: Any) -> Any:
    """What `code` comes to inside a model."""
    return said(ask(engine, model, code, data, **arguments))


def ask(engine: Engine, model: str, code: str, data: Any = None, **arguments: Any) -> Answer:
    return engine.infer(model, command(dedent(code), data, **arguments))


def test_a_call_and_its_answer(engine: Engine, caller: str, puppet: str) -> None:
    code = """
        response = request_to(callee, [1, 2], do="plus_one").exec()
        result = [said(response), array(response).tolist(), response.parameters()]
    """
    assert run(engine, caller, code, callee=puppet) == [None, [2.0, 3.0], ""]


def test_inputs_of_the_request_and_answers_go_as_they_are(engine: Engine, caller: str, puppet: str) -> None:
    code = """
        tensors = [pb_utils.Tensor("DATA", tensor.as_numpy()), tensor]
        for count in range(3):
            response = request_to(callee, tensors[-1], do="plus_one").exec()
            tensors.append(pb_utils.Tensor("DATA", array(response)))
        before = tensor.as_numpy().tolist()
        output = pb_utils.get_output_tensor_by_name(response, "RESULT")
        result = before
    """
    answer = ask(engine, caller, code, [1.0, 2.0], callee=puppet)
    assert said(answer) == [1.0, 2.0]
    np.testing.assert_array_equal(outputs(answer)["RESULT"], [4.0, 5.0])


_WRONG = "Model {callee} - Error when running inference: "


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("model='nobody'", "Model nobody - Error when running inference: "
         "Failed for execute the inference request. Model 'nobody' is not ready."),
        ("model_version=7", _WRONG + "Failed for execute the inference request. Model '{callee}' is not ready."),
        ("model_version=0", _WRONG + "Failed for execute the inference request. Model '{callee}' is not ready."),
        ("model_version=-2", _WRONG + "Failed for execute the inference request. Model '{callee}' is not ready."),
        ("requested_output_names=['W']", _WRONG + "unexpected inference output 'W' for model '{callee}'"),
        ("inputs=[]", _WRONG + "[request id: <id_unknown>] expected number of inputs between 1 and 2 but got 0 inputs "
         "for model '{callee}'. Got input(s) [], but missing required input(s) ['COMMAND']. "
         "Please provide all required input(s)."),
        ("inputs=[pb_utils.Tensor('COMMAND', np.zeros(1, 'i4'))]", _WRONG + "[request id: <id_unknown>] inference "
         "input 'COMMAND' data-type is 'INT32', but model '{callee}' expects 'BYTES'"),
        ("inputs=[pb_utils.Tensor('DATA', np.zeros(1, 'f4'))] * 2", _WRONG + "[request id: <id_unknown>] input 'DATA' "
         "already exists in request"),
        ("parameters={'huge': 2**63}", _WRONG + "Unsupported value type on parameters"),
        ("preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_GPU)", "BackendMemory::Create, all "
         "allocation types failed:\n\tGPU: this server has no GPU memory for answers"),
        ("data=[[1.0, 2.0]]", _WRONG + "[request id: <id_unknown>] unexpected shape for input 'DATA' for model "
         "'{callee}'. Expected [-1], got [1,2]. "),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_returned(engine: Engine, caller: str, puppet: str, options: str, text: str) -> None:
    code = f"""
        response = request_to(**dict(dict(model=callee, do="echo"), {options})).exec()
        result = [said(response), response.output_tensors()]
    """
    assert run(engine, caller, code, callee=puppet) == ["INTERNAL: " + text.format(callee=puppet), []]


def test_the_error_of_a_callee_keeps_its_code_and_text(engine: Engine, caller: str) -> None:
    code = """
        inner = '''
        class TritonPythonModel: pass
        '''
        response = request_to(callee, do="1 / 0").exec()
        result = said(response)
    """
    callee = loaded(engine, "scripted")
    text = run(engine, caller, code, callee=callee)
    assert text.startswith(f"INTERNAL: Failed to process the request(s) for model '{callee}_0_0', message: ")
    assert "ZeroDivisionError: division by zero" in text


_CIRCLE = "every model in this circle of calls would wait for the next one for ever: "


def test_a_model_that_calls_itself_is_told_so(engine: Engine, caller: str) -> None:
    code = """
        result = said(request_to(caller, do="result = 5").exec())
    """
    text = f"INTERNAL: Model {caller} - Error when running inference: {_CIRCLE}{caller} -> {caller}"
    assert run(engine, caller, code, caller=caller) == text


def test_two_instances_may_call_each_other(engine: Engine) -> None:
    model = loaded(engine, "scripted", instances=2)
    code = """
        result = said(request_to(own, do="import os; result = os.getpid()").exec()) != os.getpid()
    """
    assert run(engine, model, code, own=model) is True
    twice = """
        inner = 'result = said(request_to(own, do="result = 5").exec())'
        result = said(request_to(own, do=inner, own=own).exec())
    """
    assert run(engine, model, twice, own=model).endswith(f"{_CIRCLE}{model} -> {model}")


def test_a_circle_of_several_models_is_named(engine: Engine, caller: str) -> None:
    second, third = loaded(engine, "scripted"), loaded(engine, "scripted")
    code = """
        last = 'result = said(request_to(first, do="result = 5").exec())'
        middle = 'result = said(request_to(third, do=last, first=first).exec())'
        result = said(request_to(second, do=middle, first=first, third=third, last=last).exec())
    """
    text = run(engine, caller, code, first=caller, second=second, third=third)
    assert text.endswith(f"{_CIRCLE}{third} -> {caller} -> {second} -> {third}")
    # Nobody is left waiting.
    assert run(engine, caller, "result = 7") == 7


def test_a_busy_callee_is_waited_for(engine: Engine, caller: str, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    code = """
        result = said(request_to(callee, do="echo", value=3).exec())
    """
    waiting = engine.infer_later(caller, command(dedent(code), callee=puppet))
    gate.open()
    assert said(waiting.result()) == 3
    assert said(held.result()) in engine.pids(puppet)


# -- threads and coroutines -------------------------------------------------------------------------------------------

_TOGETHER = """
    async def main():
        calls = [request_to(callee, do="hold", gate=gate).async_exec() for gate in gates]
        return [said(response) for response in await asyncio.gather(*calls)]

    result = asyncio.run(main())
"""
_IN_THREADS = """
    from concurrent.futures import ThreadPoolExecutor

    def call(gate):
        return said(request_to(callee, do="hold", gate=gate).exec())

    with ThreadPoolExecutor(2) as pool:
        result = list(pool.map(call, gates))
"""


@pytest.mark.parametrize("code", [_TOGETHER, _IN_THREADS], ids=["coroutines", "threads"])
def test_calls_run_side_by_side(engine: Engine, caller: str, code: str) -> None:
    callee = loaded(engine, "puppet", instances=2)
    gates = [engine.gate(), engine.gate()]
    answer = engine.infer_later(caller, command(dedent(code), callee=callee, gates=[str(gate) for gate in gates]))
    for gate in gates:
        gate.wait_until_entered()
    for gate in gates:
        gate.open()
    assert sorted(said(answer.result())) == sorted(engine.pids(callee))


def deploy_async(engine: Engine, name: str) -> None:
    """A scripted model whose `execute` is a coroutine, and whose scripts define `main`."""
    text = source("scripted").replace("    def execute(self, requests):\n", "    async def execute(self, requests):\n")
    text = text.replace("[self.answer(request) for", "[await self.answer(request) for")
    text = text.replace("    def answer(self", "    async def answer(self").replace(
        'exec(compile(code, "script", "exec"), scope)\n',
        'exec(compile(code, "script", "exec"), scope)\n        scope["result"] = await scope["main"]()\n',
    )
    assert engine.deploy(name, text, config("scripted"))[-1]["event"] == "ready"


def test_coroutines_of_execute(engine: Engine, puppet: str) -> None:
    deploy_async(engine, "scripted_async")
    code = """
        async def main():
            calls = [request_to(callee, do="echo", value=number).async_exec() for number in range(200)]
            return [said(response) for response in await asyncio.gather(*calls)]
    """
    assert run(engine, "scripted_async", code, callee=puppet) == list(range(200))


def test_a_coroutine_that_calls_its_own_model_is_told_so(engine: Engine) -> None:
    deploy_async(engine, "scripted_async")
    code = """
        async def main():
            return said(await request_to("scripted_async", do="").async_exec())
    """
    assert run(engine, "scripted_async", code).endswith(f"{_CIRCLE}scripted_async -> scripted_async")


def test_a_thread_may_call_its_own_model(engine: Engine, caller: str) -> None:
    code = """
        started = threading.Event()

        def call():
            future = request_to(caller, do="result = 5")
            started.set()
            kept["said"] = said(future.exec())

        kept["thread"] = threading.Thread(target=call)
        kept["thread"].start()
        started.wait()
        enter(gate)
    """
    gate = engine.gate()
    running = engine.infer_later(caller, command(dedent(code), caller=caller, gate=str(gate)))
    gate.wait_until_entered()
    wait_until(lambda: engine.model(caller)["versions"][0]["outstanding"] == 2, "the thread's call is queued")
    gate.open()
    assert said(running.result()) is None
    assert run(engine, caller, "kept.pop('thread').join(); result = kept.pop('said')") == 5


def test_async_exec_needs_a_running_loop(engine: Engine, caller: str, puppet: str) -> None:
    code = """
        try:
            request_to(callee, do="echo").async_exec()
        except RuntimeError as error:
            result = str(error)
    """
    assert run(engine, caller, code, callee=puppet) == "no running event loop"


@pytest.mark.parametrize("method", ["initialize", "finalize"])
def test_outside_of_execute(engine: Engine, puppet: str, method: str) -> None:
    text = source("scripted")
    call = f"print(said(request_to('{puppet}', do='echo').exec()))"
    if method == "initialize":
        text = text.replace("self.kept = {}", f"self.kept = {{}}; {call}")
        events = engine.deploy("early", text, config("scripted"))
        assert events[-1]["event"] == "error"
        assert "BLS is only supported during the 'execute' function." in str(events[-1])
        return
    text += f"\n    def finalize(self):\n        {call}\n"
    assert engine.deploy("late", text, config("scripted"))[-1]["event"] == "ready"
    engine.unload("late")
    last = "BLS is only supported during the 'execute' function."
    wait_until(lambda: last in str(engine.logs("late")), lambda: f"it is said: {engine.logs('late')}")


def test_a_timeout_is_the_callers_from_the_first_microsecond(engine: Engine, caller: str) -> None:
    policy = "default_queue_policy { allow_timeout_override: true default_timeout_microseconds: 10000000 }"
    callee = loaded(engine, "puppet", extra=f"dynamic_batching {{ {policy} }}")
    code = """
        response = request_to(callee, [1.0], do="echo", timeout=1).exec()
        patient = request_to(callee, [1.0], do="plus_one", timeout=9000000).exec()
        result = [response.error().message(), array(patient).tolist()]
    """
    assert run(engine, caller, code, callee=callee) == ["Request timeout expired", [2.0]]


# -- callees that answer any number of times --------------------------------------------------------------------------


@pytest.fixture
def many(engine: Engine) -> str:
    """A decoupled model that counts to the first number of its data."""
    return loaded(engine, "many")


def test_responses_are_iterated(engine: Engine, caller: str, many: str) -> None:
    code = """
        iterator = request_to(callee, [4], do="count").exec(decoupled=True)
        first = array(next(iterator)).tolist()
        rest = [array(response).tolist() for response in iterator if response.output_tensors()]
        again = [len(response.output_tensors()) for response in iterator]
        try:
            next(iter(iterator))
            result = [first, rest, again, iter(iterator) is iterator]
        except StopIteration:
            result = "stopped"
    """
    assert run(engine, caller, code, callee=many) == [[0.0], [[1.0], [2.0], [3.0]], [2, 2, 2, 2, 0], True]


@pytest.mark.parametrize(
    ("do", "expected"),
    [("count", [2, 2, 2, 0]), ("last", [2, 2, 2]), ("nothing", [0]), ("fail", [2, 2, 2, "UNAVAILABLE: enough"])],
)
def test_how_the_last_response_looks(engine: Engine, caller: str, many: str, do: str, expected: Any) -> None:
    code = """
        iterator = request_to(callee, [3], do=do).exec(decoupled=True)
        result = [said(item) if item.has_error() else len(item.output_tensors()) for item in iterator]
    """
    assert run(engine, caller, code.replace("do=do", f"do={do!r}"), callee=many) == expected


def test_a_model_that_is_not_decoupled_answers_once(engine: Engine, caller: str, puppet: str) -> None:
    code = """
        iterator = request_to(callee, do="echo", value=3).exec(decoupled=True)
        result = [said(item) for item in iterator]
    """
    assert run(engine, caller, code, callee=puppet) == [3]


def test_a_decoupled_model_wants_an_iterator(engine: Engine, caller: str, many: str) -> None:
    code = """
        result = [said(request_to(callee, [1], do="count").exec())]
        bad = request_to("nobody", [1], do="count").exec(decoupled=True)
        result += [said(item) for item in bad]
    """
    assert run(engine, caller, code, callee=many) == [
        f"INTERNAL: Model {many} - Error when running inference: Model {many} is using the decoupled. The current BLS "
        "request call doesn't support models using the decoupled transaction policy. Please use 'decoupled=True' "
        "argument to the 'exec' or 'async_exec' calls for decoupled models.'",
        "INTERNAL: Model nobody - Error when running inference: Failed for execute the inference request. "
        "Model 'nobody' is not ready.",
    ]


def test_streams_in_coroutines(engine: Engine, caller: str, many: str) -> None:
    code = """
        async def count(number):
            iterator = await request_to(callee, [number], do="count").async_exec(decoupled=True)
            return sum(array(item)[0] for item in iterator if item.output_tensors())

        async def main():
            return [float(total) for total in await asyncio.gather(*map(count, range(1, 20)))]

        result = asyncio.run(main())
    """
    assert run(engine, caller, code, callee=many) == [sum(range(number)) for number in range(1, 20)]


def test_an_iterator_that_is_dropped_drains(engine: Engine, caller: str, many: str) -> None:
    code = """
        iterator = request_to(callee, [1000], do="count").exec(decoupled=True)
        result = array(next(iterator)).tolist()
        del iterator
    """
    assert run(engine, caller, code, callee=many) == [0.0]
    wait_until(lambda: not engine.model(many)["versions"][0]["outstanding"], "the callee has done with it")


def test_a_stream_is_cancelled(engine: Engine, caller: str, many: str) -> None:
    code = """
        iterator = request_to(callee, [0], do="until_cancelled").exec(decoupled=True)
        first = len(next(iterator).output_tensors())
        iterator.cancel()
        iterator.cancel()
        last = [said(item) for item in iterator if item.has_error()]
        iterator.cancel()
        result = [first, last]
    """
    assert run(engine, caller, code, callee=many) == [2, ["CANCELLED: stopped"]]


def test_a_queued_stream_is_cancelled(engine: Engine, caller: str, many: str) -> None:
    code = """
        holder = request_to(callee, [0], do="hold", gate=gate).exec
        thread = threading.Thread(target=holder, args=(True,))
        thread.start()

        async def main():
            future = request_to(callee, [1], do="count").async_exec(decoupled=True)
            enter(ready)
            future.cancel()
            await asyncio.sleep(0)

        asyncio.run(main())
        enter(after)
        result = "done"
    """
    gate, ready, after = engine.gate(), engine.gate(), engine.gate()
    running = engine.infer_later(
        caller, command(dedent(code), callee=many, gate=str(gate), ready=str(ready), after=str(after))
    )
    ready.wait_until_entered()
    gate.wait_until_entered()
    ready.open()
    after.wait_until_entered()
    wait_until(lambda: engine.model(many)["versions"][0]["outstanding"] == 1, "the queued one is gone")
    after.open()
    gate.open()
    assert said(running.result()) == "done"


# -- processes that the model forks -----------------------------------------------------------------------------------


def test_forked_workers_call_too(engine: Engine, caller: str) -> None:
    callee = loaded(engine, "puppet", instances=2)
    code = """
        import multiprocessing

        def work(number):
            response = request_to(callee, [number, 1], do="plus_one").exec()
            large = request_to(callee, np.ones(1 << 18, "f4"), do="plus_one").exec()
            pb_utils.Logger.log_info(f"worker {number}")
            return array(response).tolist() + [float(array(large).sum())]

        CALLED.append(work)
        with multiprocessing.get_context("fork").Pool(5) as pool:
            result = pool.map(called, range(10))
        CALLED.clear()
        result.append(said(request_to(callee, do="echo", value=1).exec()))
    """
    expected = [[number + 1.0, 2.0, float(2 << 18)] for number in range(10)]
    assert run(engine, caller, code, callee=callee) == [*expected, 1]
    wait_until(lambda: sum("worker" in item["text"] for item in engine.logs(caller)) == 10, "their words are kept")


def test_a_forked_process_that_is_killed(engine: Engine, caller: str, puppet: str) -> None:
    gate = engine.gate()
    code = """
        child = os.fork()
        if not child:
            request_to(callee, np.ones(1000, "f4"), do="watch_for_cancel", gate=gate, seen=seen).exec()
        kept["child"] = child
        result = child
    """
    seen = engine.folder / "seen"
    child = run(engine, caller, code, callee=puppet, gate=str(gate), seen=str(seen))
    gate.wait_until_entered()
    os.kill(child, signal.SIGKILL)
    gate.open()
    wait_until(seen.exists, "the callee has seen that nobody waits")
    seen.unlink()
    run(engine, caller, "os.waitpid(kept.pop('child'), 0)")


# -- ensembles --------------------------------------------------------------------------------------------------------


def add_ensemble(engine: Engine, name: str, *members: str) -> None:
    """An ensemble of models of this kind, one after the other: each gets the command of the request."""
    tensors = """
        input [ { name: "COMMAND" data_type: TYPE_STRING dims: 1 } ]
        output [ { name: "ANSWER" data_type: TYPE_STRING dims: 1 }, { name: "RESULT" data_type: TYPE_FP32 dims: -1 } ]
    """
    steps, data = [], ""
    for index, member in enumerate(members):
        last = index + 1 == len(members)
        result = "RESULT" if last else f"result{index}"
        inputs = 'input_map { key: "COMMAND" value: "COMMAND" }' + data
        outputs = f'output_map {{ key: "RESULT" value: "{result}" }}'
        outputs += ' output_map { key: "ANSWER" value: "ANSWER" }' if last else ""
        steps.append(f'{{ model_name: "{member}" model_version: -1 {inputs} {outputs} }}')
        data = f' input_map {{ key: "DATA" value: "{result}" }}'
    folder = engine.repository / name / "1"
    folder.mkdir(parents=True)
    text = f'platform: "ensemble"\n{tensors}\nensemble_scheduling {{ step [ {", ".join(steps)} ] }}\n'
    (folder.parent / "config.pbtxt").write_text(text)
    engine.load(name)


def test_an_ensemble_is_called(engine: Engine, caller: str) -> None:
    first, second = loaded(engine, "scripted"), loaded(engine, "scripted")
    add_ensemble(engine, "called_ensemble", first, second)
    code = """
        step = "result = 5; output = np.array([7], 'f4') if tensor is None else tensor.as_numpy() + 1"
        response = request_to("called_ensemble", do=step).exec()
        result = [said(response), array(response).tolist()]
    """
    assert run(engine, caller, code) == [5, [8.0]]


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_circle_through_an_ensemble(engine: Engine, caller: str, place: str) -> None:
    other = loaded(engine, "scripted")
    name = f"circular_{place}"
    add_ensemble(engine, name, *((caller, other) if place == "first" else (other, caller)))
    code = """
        result = said(request_to(name, do="result = 5").exec())
    """
    assert run(engine, caller, code, name=name).endswith(f"{_CIRCLE}{caller} -> {name} -> {caller}")
