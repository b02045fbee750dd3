"""Business logic scripting: calls, their errors, decoupled callees, async, versions, sequences (section 3)."""

from __future__ import annotations

from tests.golden.backend.scripted import DECOUPLED, SEQUENCE, probe, script, scripted, stream
from tests.golden.case import AnyCase, Files, statistics

_EXEC = "r = {}.exec()\nreturn [tell(r, r.has_error())]"
_FINE = "\"return [tell('fine')]\""

#: What `exec` gives, by how the request was made.
_CALLS = {
    "works": f"ask({_FINE})",
    "bytes_model_name": f"ask({_FINE}, model=b'callee')",
    "number": "ask('return [number(3)]', outputs=('OUT',))",
    "both_outputs": "ask(\"return [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array(['a'], object)), pb_utils.Tensor('OUT', np.zeros(1, np.float32))])]\", outputs=('OUT', 'TEXT'))",
    "one_of_two_outputs": "ask(\"return [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array(['a'], object)), pb_utils.Tensor('OUT', np.zeros(1, np.float32))])]\", outputs=('OUT',))",
    "no_outputs_requested": f"ask({_FINE}, outputs=())",
    "same_output_twice": f"ask({_FINE}, outputs=('TEXT', 'TEXT'))",
    "unknown_model": f"ask({_FINE}, model='nobody')",
    "empty_model_name": f"ask({_FINE}, model='')",
    "not_loaded_model": f"ask({_FINE}, model='unloaded')",
    "version_1": f"ask({_FINE}, model_version=1)",
    "version_default": f"ask({_FINE}, model_version=-1)",
    "version_0": f"ask({_FINE}, model_version=0)",
    "version_minus_2": f"ask({_FINE}, model_version=-2)",
    "version_missing": f"ask({_FINE}, model_version=9)",
    "decoupled_callee": f"ask({_FINE}, model='decoupled')",
    "unknown_output": f"ask({_FINE}, outputs=('W',))",
    "unknown_output_too": f"ask({_FINE}, outputs=('TEXT', 'W'))",
    "unknown_input": "call('add', ('X', np.zeros(1, np.float32)), ('Q', np.zeros(1, np.float32)))",
    "only_unknown_input": "call('add', ('Q', np.zeros(1, np.float32)))",
    "missing_input": "call('add')",
    "duplicate_input": "call('add', ('X', np.zeros(1, np.float32)), ('X', np.zeros(1, np.float32)))",
    "dtype": "call('add', ('X', np.zeros(1, np.int32)))",
    "dtype_bytes": "call('add', ('X', np.array([b'x'], object)))",
    "dtype_fp64": "call('add', ('X', np.zeros(1)))",
    "shape": "call('add', ('X', np.zeros((1, 2), np.float32)))",
    "shape_scalar": "call('add', ('X', np.float32(1)))",
    "shape_empty": "call('add', ('X', np.zeros(0, np.float32)))",
    "adds": "call('add', ('X', np.array([1, 2.5], np.float32)))",
    "with_id": "call('add', request_id='my-id')",
    "missing_with_id": "call('add', request_id='my-id')",
    "batch_shape": "call('batching', ('X', np.zeros((9, 1), np.float32)))",
    "batch_missing_dimension": "call('batching', ('X', np.zeros(1, np.float32)))",
    "batch": "call('batching', ('X', np.array([[1], [2]], np.float32)))",
    "callee_raises": "ask(\"raise ValueError('inner')\")",
    "callee_error": "ask(\"return [pb_utils.InferenceResponse(error=pb_utils.TritonError('inner', pb_utils.TritonError.INTERNAL))]\")",
    "callee_error_unicode": "ask(\"return [pb_utils.InferenceResponse(error=pb_utils.TritonError('é✓'))]\")",
    "callee_error_empty": "ask(\"return [pb_utils.InferenceResponse(error=pb_utils.TritonError(''))]\")",
    "callee_returns_tuple": "ask('return ()')",
    "callee_returns_nothing": "ask('return [pb_utils.InferenceResponse([])]')",
    "callee_sends": "ask(\"request.get_response_sender().send(tell('sent'), 1)\")",
    "callee_other_dtype": "ask(\"return [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array([1, 2]))])]\")",
    "callee_zero_size": "ask(\"return [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.zeros((0, 2), np.int8))])]\")",
    "callee_sees_id": "ask('return [tell(request.request_id())]', request_id='my-id')",
    "callee_sees_no_id": "ask('return [tell(request.request_id())]')",
    "callee_sees_correlation": "ask('return [tell(request.correlation_id())]', correlation_id=7)",
    "callee_sees_correlation_text": "ask('return [tell(request.correlation_id())]', correlation_id='seven')",
    "callee_sees_no_correlation": "ask('return [tell(request.correlation_id())]')",
    "callee_sees_flags": "ask('return [tell(request.flags())]', flags=3)",
    "callee_sees_timeout": "ask('return [tell(request.timeout())]', timeout=123456789)",
    "callee_sees_parameters": "ask('return [tell(request.parameters())]', parameters={'a': 1, 'b': True, 'c': 'x', 'd': -1})",
    "callee_sees_no_parameters": "ask('return [tell(request.parameters())]')",
    "callee_sees_reserved_parameters": "ask('return [tell(request.parameters(), request.timeout(), request.correlation_id())]', parameters={'timeout': 5, 'sequence_id': 3, 'priority': 1})",
    "parameter_huge": "ask('return [tell(request.parameters())]', parameters={'a': 2**70})",
    "parameter_empty_key": "ask('return [tell(request.parameters())]', parameters={'': 1})",
    "callee_sees_outputs": "ask('return [tell(request.requested_output_names())]', outputs=('TEXT',))",
    "callee_sees_trace": "ask('return [tell(request.trace().get_context())]', trace=request.trace())",
    "callee_not_cancelled": "ask('return [tell(request.is_cancelled())]')",
    "preferred_cpu": f"ask({_FINE}, preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU))",
    "trace": f"ask({_FINE}, trace=request.trace())",
    "of_async_model": f"ask({_FINE}, model='script_async')",
    "set_flags": "(lambda r: r.set_flags(2) or r)(ask('return [tell(request.flags())]'))",
    "ensemble": "call('chain', ('X', np.array([1], np.float32)))",
    "ensemble_missing_input": "call('chain')",
}
#: Scripts that do more than one call, or look closer.
_SCRIPTS = {
    "response_type": f"r = ask({_FINE}).exec()\nreturn [tell(type(r), type(r.output_tensors()[0]), r.output_tensors()[0].is_cpu(), r.error())]",
    "output_flags": "r = ask('return [number(1)]', outputs=('OUT',)).exec()\na = r.output_tensors()[0].as_numpy()\na[0] = 5\nreturn [tell(a, r.output_tensors()[0].as_numpy())]",
    "error_code": "r = ask(\"return [pb_utils.InferenceResponse(error=pb_utils.TritonError('x', pb_utils.TritonError.NOT_FOUND))]\").exec()\nreturn [tell(r.error().code(), r.error().message())]",
    "error_of_dispatch_code": f"r = ask({_FINE}, model='nobody').exec()\nreturn [tell(r.error().code(), r.output_tensors())]",
    "repeated": f"r = ask({_FINE})\nreturn [tell(r.exec(), r.exec())]",
    "input_reused": "x = pb_utils.Tensor('X', np.array([1], np.float32))\nmake = lambda: pb_utils.InferenceRequest(model_name='add', inputs=[x], requested_output_names=['OUT'])\nreturn [tell(make().exec(), make().exec())]",
    "input_changed_between": "x = np.array([1], np.float32)\nr = call('add', ('X', x))\nfirst = r.exec()\nx[0] = 5\nreturn [tell(first, r.exec())]",
    "passes_inputs_on": "r = pb_utils.InferenceRequest(model_name='echo', inputs=request.inputs(), requested_output_names=['TEXT'])\nreturn [tell(r.exec().output_tensors()[0].as_numpy()[0][:4])]",
    "passes_outputs_on": f"return [pb_utils.InferenceResponse(ask({_FINE}).exec().output_tensors())]",
    "passes_response_on": f"return [ask({_FINE}).exec()]",
    "passes_error_on": "return [ask('raise ValueError(1)').exec()]",
    "outputs_as_inputs": "first = call('add', ('X', np.array([1], np.float32))).exec().output_tensors()[0]\nagain = pb_utils.Tensor.from_dlpack('X', first.to_dlpack())\nreturn [tell(pb_utils.InferenceRequest(model_name='add', inputs=[again], requested_output_names=['OUT']).exec())]",
    "nested": "return [tell(ask(\"return [tell(call('add', ('X', np.array([1], np.float32))).exec())]\").exec())]",
    "nested_error": "return [tell(ask(\"r = call('nobody').exec()\\nraise pb_utils.TritonModelException(r.error().message())\").exec())]",
    "thread": f"out = []\nt = threading.Thread(target=lambda: out.append(describe(ask({_FINE}).exec())))\nt.start(); t.join()\nreturn [tell(out)]",
    "threads": "import concurrent.futures as f\nwith f.ThreadPoolExecutor(4) as pool:\n    return [tell(list(pool.map(lambda n: call('add', ('X', np.array([n], np.float32))).exec(), range(8))))]",
    "large": "x = np.arange(1 << 19, dtype=np.float32)\nr = call('add', ('X', x)).exec()\nreturn [tell(bool((r.output_tensors()[0].as_numpy() == x + 1).all()))]",
    "asyncio_run": f"async def f():\n    return await asyncio.gather(*[ask({_FINE}).async_exec() for _ in range(3)])\nreturn [tell(asyncio.run(f()))]",
    "async_without_loop": f"return [tell(outcome(ask({_FINE}).async_exec))]",
    "async_type": f"async def f():\n    awaitable = ask({_FINE}).async_exec()\n    kind = type(awaitable).__name__, asyncio.isfuture(awaitable)\n    await awaitable\n    return kind\nreturn [tell(asyncio.run(f()))]",
    "async_error": f"async def f():\n    return await ask({_FINE}, model='nobody').async_exec()\nreturn [tell(asyncio.run(f()))]",
    "async_decoupled_flag": "async def f():\n    return [r for r in await ask(\"s = request.get_response_sender()\\ns.send(tell('a'))\\ns.send(tell('b'), 1)\", model='decoupled').async_exec(decoupled=True)]\nreturn [tell(asyncio.run(f()))]",
    "exec_with_decoupled_false": f"return [tell(ask({_FINE}).exec(False), ask({_FINE}).exec(decoupled=False))]",
    "refcount_of_input": "x = np.array([1], np.float32)\nn = sys.getrefcount(x)\ncall('add', ('X', x)).exec()\ngc.collect()\nreturn [tell(sys.getrefcount(x) - n)]",
    "output_outlives_response": "t = call('add', ('X', np.array([1], np.float32))).exec().output_tensors()[0]\ngc.collect()\nreturn [tell(t)]",
    "preferred_gpu": f"return [tell(ask({_FINE}, preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_GPU, 0)).exec())]",
    "queue_timeout": "import concurrent.futures as f\nwith f.ThreadPoolExecutor(2) as pool:\n    one = lambda text, **more: call('impatient', ('SCRIPT', np.array([[text]], object)), outputs=('TEXT',), **more)\n    slow = pool.submit(one('time.sleep(0.5)\\nreturn [tell(1)]').exec)\n    time.sleep(0.2)\n    late = one('return [tell(2)]', timeout=1000).exec()\nreturn [tell(slow.result(), late)]",
}
_TWO = "s = request.get_response_sender()\\ns.send(tell('a'))\\ns.send(tell('b'), 1)"
_APART = "s = request.get_response_sender()\\ns.send(tell('a'))\\ns.send(flags=1)"
_ERR = "s = request.get_response_sender()\\ns.send(tell('a'))\\ns.send(pb_utils.InferenceResponse(error=pb_utils.TritonError('told', pb_utils.TritonError.NOT_FOUND)), 1)"
_ITER = "it = ask(\"{}\", model='decoupled').exec(decoupled=True)\n"
_ITERATIONS = {
    "two": _ITER.format(_TWO) + "return [tell(list(it))]",
    "final_apart": _ITER.format(_APART) + "return [tell([(r.has_error(), r) for r in it])]",
    "final_only": _ITER.format("request.get_response_sender().send(flags=1)")
    + "return [tell([(r.has_error(), r) for r in it])]",
    "raises": _ITER.format("raise ValueError('inner')") + "return [tell(list(it))]",
    "returns_list": _ITER.format("return []") + "return [tell(list(it))]",
    "type": _ITER.format(_TWO) + "kind = type(it)\nlist(it)\nreturn [tell(kind)]",
    "iter_is_self": _ITER.format(_TWO) + "same = iter(it) is it\nlist(it)\nreturn [tell(same)]",
    "next": _ITER.format(_TWO) + "return [tell(next(it), next(it), outcome(next, it), outcome(next, it))]",
    "replayed": _ITER.format(_TWO) + "return [tell(list(it), list(it))]",
    "resumed": _ITER.format(_TWO) + "for first in it:\n    break\nreturn [tell(first, list(it))]",
    "next_after_end": _ITER.format(_TWO) + "all = list(it)\nreturn [tell(outcome(next, it))]",
    "replayed_by_next": _ITER.format(_TWO) + "list(it)\niter(it)\nreturn [tell(outcome(next, it))]",
    "len": _ITER.format(_TWO) + "text = outcome(len, it)\nlist(it)\nreturn [tell(text)]",
    "indexed": _ITER.format(_TWO) + "text = outcome(lambda: it[0])\nlist(it)\nreturn [tell(text)]",
    "async_for": _ITER.format(_TWO)
    + "async def f():\n    async for r in it:\n        pass\ntry:\n    return [tell(outcome(asyncio.run, f()))]\nfinally:\n    list(it)",
    "attributes": _ITER.format(_TWO)
    + "names = sorted(n for n in dir(it) if n[0] != '_')\nlist(it)\nreturn [tell(names)]",
    "of_plain_model": f"return [tell(list(ask({_FINE}).exec(decoupled=True)))]",
    "of_plain_model_error": "return [tell(list(ask('raise ValueError(1)').exec(decoupled=True)))]",
    "of_plain_model_sender_apart": "return [tell(list(ask(\"s = request.get_response_sender()\\ns.send(tell('a'))\\ns.send(flags=1)\").exec(decoupled=True)))]",
    "unknown_model": f"return [tell(list(ask({_FINE}, model='nobody').exec(decoupled=True)))]",
    "unknown_output": f"return [tell(list(ask({_FINE}, model='decoupled', outputs=('W',)).exec(decoupled=True)))]",
    "empty_response": _ITER.format("request.get_response_sender().send(pb_utils.InferenceResponse([]), 1)")
    + "return [tell(list(it))]",
    "many": _ITER.format("s = request.get_response_sender()\\nfor n in range(20): s.send(tell(n), flags=n == 19)")
    + "return [tell([r.output_tensors()[0].as_numpy()[0] for r in it])]",
    "later": _ITER.format(
        "s = request.get_response_sender()\\ndef later():\\n    s.send(tell('a'))\\n    s.send(tell('b'), 1)\\nthreading.Timer(0.05, later).start()"
    )
    + "return [tell(list(it))]",
    "dropped": _ITER.format(_TWO) + "del it\ngc.collect()\nreturn [tell('fine')]",
    "two_at_once": 'its = [ask("'
    + _TWO
    + "\", model='decoupled').exec(decoupled=True) for _ in range(2)]\nreturn [tell([list(it) for it in its])]",
    "in_thread": _ITER.format(_TWO)
    + "out = []\nt = threading.Thread(target=lambda: out.extend(map(describe, it)))\nt.start(); t.join()\nreturn [tell(out)]",
    "cancel": _ITER.format(_TWO) + "text = outcome(lambda: it.cancel())\nlist(it)\nreturn [tell(text)]",
    "of_async_decoupled": 'return [tell(list(ask("await asyncio.sleep(0)\\n'
    + _TWO
    + "\", model='decoupled_async').exec(decoupled=True)))]",
    "ensemble": "return [tell(list(call('chain', ('X', np.array([1], np.float32))).exec(decoupled=True)))]",
}
_STEP = (
    "k = request.correlation_id()\\nself.kept[k] = n = self.kept.get(k, 0) + 1\\nreturn [tell(k, n, request.flags())]"
)


def _steps(*steps: tuple[str, int]) -> str:
    calls = ", ".join(
        f"ask(\"{_STEP}\", model='stateful', correlation_id={key}, flags={flags}).exec()" for key, flags in steps
    )
    return f"return [tell([{calls}])]"


_SEQUENCES = {
    "whole": _steps(("1", 1), ("1", 0), ("1", 2)),
    "text_id": _steps(("'abc'", 1), ("'abc'", 2)),
    "start_and_end": _steps(("4", 3)),
    "not_started": _steps(("5", 0)),
    "without_id": _steps(("0", 1)),
    "restarted": _steps(("6", 1), ("6", 1), ("6", 2)),
}

#: A coroutine's calls.
_ASYNC = {
    "awaits": f"r = await ask({_FINE}).async_exec()\nreturn [tell(r)]",
    "gathers": "rs = await asyncio.gather(*[call('add', ('X', np.array([n], np.float32))).async_exec() for n in range(5)])\nreturn [tell(rs)]",
    "exec": f"return [tell(ask({_FINE}).exec())]",
    "unknown_model": f"return [tell(await ask({_FINE}, model='nobody').async_exec())]",
    "iterates": 'it = await ask("'
    + _TWO
    + "\", model='decoupled').async_exec(decoupled=True)\nreturn [tell(list(it))]",
    "nested": "return [tell(await ask(\"return [tell(await call('add', ('X', np.array([1], np.float32))).async_exec())]\", model='callee_async').async_exec())]",
}

CASES: tuple[AnyCase, ...] = (
    *(script(f"bls_{name}", _EXEC.format(text)) for name, text in _CALLS.items()),
    *(script(f"bls_{name}", text) for name, text in _SCRIPTS.items()),
    *(script(f"bls_iterator_{name}", text) for name, text in _ITERATIONS.items()),
    *(script(f"bls_sequence_{name}", text) for name, text in _SEQUENCES.items()),
    *(script(f"bls_async_{name}", text, model="script_async") for name, text in _ASYNC.items()),
    stream("bls_from_decoupled", f"s = request.get_response_sender()\ns.send(tell(ask({_FINE}).exec()), 1)"),
    stream("bls_from_decoupled_thread", f"s = request.get_response_sender()\ndef later():\n    s.send(tell(ask({_FINE}).exec()), 1)\nthreading.Thread(target=later).start()"),
    stream("bls_from_decoupled_stream", "s = request.get_response_sender()\nfor r in ask(\"" + _TWO + "\", model='callee_decoupled').exec(decoupled=True):\n    s.send(r)\ns.send(flags=1)"),
    stream("bls_from_decoupled_async", f"s = request.get_response_sender()\ns.send(tell(await ask({_FINE}).async_exec()), 1)", model="decoupled_async"),
    probe("bls_unused_names", "sorted(n for n in dir(pb_utils) if 'exec' in n)"),
    statistics("bls_callee_statistics", "add"),
    statistics("bls_decoupled_statistics", "decoupled"),
    statistics("bls_caller_statistics", "script"),
)  # fmt: skip

#: On Triton they never end.
HANGING = {
    "bls_iterator_raises_after_one": _ITER.format(
        "request.get_response_sender().send(tell('a'))\\nraise ValueError('inner')"
    )
    + "return [tell(list(it))]",
    "bls_iterator_error_inside": _ITER.format(_ERR) + "return [tell(list(it))]",
    "bls_incoming_request": "return [tell(request.exec())]",
    "bls_self": f"return [tell(ask({_FINE}, model='script').exec())]",
    "bls_circle": "return [tell(ask(\"return [tell(ask('return [tell(1)]', model='script').exec())]\").exec())]",
}

_ADD = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("OUT", tensor.as_numpy() + 1) for tensor in request.inputs()])
            for request in requests
        ]
"""
_ADD_CONFIG = """backend: "python"
input [ { name: "X" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
_CHAIN = """platform: "ensemble"
input [ { name: "X" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
ensemble_scheduling { step [
  { model_name: "add" model_version: -1 input_map { key: "X" value: "X" } output_map { key: "OUT" value: "between" } },
  { model_name: "add" model_version: -1 input_map { key: "X" value: "between" } output_map { key: "OUT" value: "OUT" } }
] }
"""
_ECHO = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", request.inputs()[0].as_numpy())]) for request in requests
        ]
"""
_IMPATIENT = """max_batch_size: 1
dynamic_batching {
  default_queue_policy { timeout_action: REJECT allow_timeout_override: true default_timeout_microseconds: 100000000 }
}
"""
ADD: Files = {"config.pbtxt": _ADD_CONFIG, "1/model.py": _ADD}
CIRCLE: dict[str, Files] = {"callee": scripted()}
CALLEES: dict[str, Files] = {
    "callee": scripted(),
    "callee_decoupled": scripted(DECOUPLED),
    "add": ADD,
    "batching": {"config.pbtxt": _ADD_CONFIG + "max_batch_size: 4\n", "1/model.py": _ADD},
    "echo": {**scripted(), "1/model.py": _ECHO},
    "chain": {"config.pbtxt": _CHAIN, "1/.keep": ""},
    "stateful": scripted(SEQUENCE),
    "impatient": scripted(_IMPATIENT),
}
