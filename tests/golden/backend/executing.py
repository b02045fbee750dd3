"""`execute`: what it gets, what becomes of its result, coroutines, senders of plain models (sections 2.7 to 2.10, 4.2, 4.4)."""

from __future__ import annotations

from tests.golden.backend.scripted import message, script
from tests.golden.case import AnyCase, Rpc, Scrape, statistics

_GOOD = "[tell('fine')]"
_SENDER = "sender = request.get_response_sender()\n"
_KEEP = "self.kept['sender'] = sender\n"

#: What `execute` returns, or does.
_RESULTS = {
    "list": f"return {_GOOD}",
    "list_subclass": f"return type('Mine', (list,), {{}})({_GOOD})",
    "tuple": f"return tuple({_GOOD})",
    "generator": f"return (x for x in {_GOOD})",
    "array": f"return np.array({_GOOD}, object)",
    "true": "return True",
    "zero": "return 0",
    "empty_text": "return ''",
    "dict": "return {}",
    "response": "return tell('x')",
    "set": f"return set({_GOOD})",
    "empty": "return []",
    "two": "return [tell('x'), tell('y')]",
    "number_element": "return [1]",
    "text_element": "return ['x']",
    "error_element": "return [pb_utils.TritonError('x')]",
    "exception_element": "return [ValueError('x')]",
    "class_element": "return [pb_utils.InferenceResponse]",
    "request_element": "return [request]",
    "list_element": f"return [{_GOOD}]",
    "requests_list": "return requests",
    "yields": f"yield {_GOOD}",
    "raises_in_generator": "yield 1 / 0",
    "requests_type": "return [tell(type(requests), len(requests), type(requests[0]))]",
    "response_subclass": "class Mine(pb_utils.InferenceResponse): pass\nreturn [Mine([pb_utils.Tensor('TEXT', np.array(['x'], object))])]",
    "error_subclass": "class Mine(pb_utils.TritonError): pass\nreturn [pb_utils.InferenceResponse(error=Mine('mine'))]",
    "tensor_subclass": "class Mine(pb_utils.Tensor): pass\nreturn [pb_utils.InferenceResponse([Mine('TEXT', np.array(['x'], object))])]",
}
_RAISES = {
    "plain": "raise ValueError('boom')",
    "zero_division": "return 1 / 0",
    "unicode": "raise ValueError('é✓ \\U0001f600')",
    "newlines": "raise ValueError('one\\ntwo')",
    "nul": "raise ValueError('a\\0b')",
    "arguments": "raise ValueError('a', 1)",
    "empty": "raise ValueError",
    "empty_text": "raise ValueError('')",
    "qualified": "raise json.JSONDecodeError('m', 'doc', 0)",
    "nested_class": "class Outer:\n    class Inner(Exception): pass\nraise Outer.Inner('x')",
    "base": "raise BaseException('base')",
    "generator_exit": "raise GeneratorExit('x')",
    "stop_iteration": "raise StopIteration('x')",
    "assertion": "assert False, 'why'",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('outer') from error",
    "str_raises": "class Bad(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise Bad",
    "str_not_text": "class Bad(Exception):\n    def __str__(self): return 5\nraise Bad",
    "deep": "def down(n):\n    return down(n - 1) if n else 1 / 0\nreturn down(3)",
    "lambda": "return (lambda: 1 / 0)()",
    "recursion": "def down(): return down()\nold = sys.getrecursionlimit()\ntry:\n    sys.setrecursionlimit(60)\n    down()\nexcept RecursionError as error:\n    raise RuntimeError('too deep') from None\nfinally:\n    sys.setrecursionlimit(old)",
    "model_exception": "raise pb_utils.TritonModelException('mine')",
    "model_exception_subclass": "class Mine(pb_utils.TritonModelException): pass\nraise Mine('mine')",
    "native": "return [pb_utils.Tensor('', np.zeros(1))]",
    "missing_input": "return pb_utils.get_input_tensor_by_name(request, 'NOBODY').as_numpy()",
    "exit": "sys.exit('text')",
    "exit_none": "sys.exit()",
    "import_error": "import there_is_no_such_module",
    "attribute": "return request.outputs()",
    "triton_error": "raise pb_utils.TritonError('x')",
    "a_string": "raise 'x'",
}
_OUTPUTS = {
    "aliased_input": "x = pb_utils.get_input_tensor_by_name(request, 'SCRIPT')\nreturn [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', x.as_numpy()[:0])])]",
    "same_response_twice": "r = tell('x')\nself.kept['r'] = r\nreturn [r]",
    "same_response_again": "return [self.kept['r']]",
    "pruned": "r = pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array(['a'], object)), pb_utils.Tensor('EXTRA', np.zeros(1))])\nself.kept['r'] = r\nreturn [r]",
    "pruned_seen": "return [tell([t.name() for t in self.kept['r'].output_tensors()])]",
    "error_with_code": "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('gone', pb_utils.TritonError.NOT_FOUND))]",
    "error_unicode": "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('é\\n\"x\"'))]",
    "error_nul": "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('a\\0b'))]",
    "bytes_as_fp32": "return [pb_utils.InferenceResponse([pb_utils.Tensor('OUT', np.array(['x'], object))])]",
    "number_as_bytes": "return [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array([1.5]))])]",
    "rank_3": "return [pb_utils.InferenceResponse([pb_utils.Tensor('OUT', np.zeros((1, 2, 1), np.int16))])]",
    "unknown_only": "return [pb_utils.InferenceResponse([pb_utils.Tensor('NOBODY', np.zeros(1))])]",
    "large": "return [pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array([str(np.ones(500000).sum())], object)), pb_utils.Tensor('OUT', np.array([pb_utils.Tensor('OUT', np.ones(500000)).as_numpy().sum()]))])]",
}
#: A plain model and its sender; those without an end are in HANGING.
_SENDS = {
    "final": _SENDER + "sender.send(tell('sent'), 1)\nreturn None",
    "final_none_in_list": _SENDER + "sender.send(tell('sent'), 1)\nreturn [None]",
    "final_apart": _SENDER + "sender.send(tell('sent'))\nsender.send(flags=1)\nreturn None",
    "keywords": _SENDER
    + "sender.send(response=tell('sent'), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)\nreturn None",
    "thread": _SENDER + "threading.Timer(0.05, lambda: sender.send(tell('later'), 1)).start()\nreturn None",
    "thread_none_in_list": _SENDER
    + "threading.Timer(0.05, lambda: sender.send(tell('later'), 1)).start()\nreturn [None]",
    "error": _SENDER
    + "sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError('no', pb_utils.TritonError.UNAVAILABLE)), 1)\nreturn None",
    "final_twice": _SENDER
    + "sender.send(tell('sent'), 1)\nself.kept['text'] = outcome(sender.send, flags=1)\nreturn None",
    "final_twice_text": "return [tell(self.kept['text'])]",
    "second": _SENDER
    + "sender.send(tell('sent'), 1)\nself.kept['text'] = outcome(sender.send, tell('more'))\nreturn None",
    "second_text": "return [tell(self.kept['text'])]",
    "bare_final_first": _SENDER + "return [tell(outcome(sender.send, flags=1))]",
    "nothing": _SENDER + "return [tell(outcome(sender.send))]",
    "none": _SENDER + "return [tell(outcome(sender.send, None, 0))]",
    "flag_2": _SENDER + "return [tell(outcome(sender.send, tell('x'), 2))]",
    "flag_3": _SENDER + "return [tell(outcome(sender.send, flags=3))]",
    "flag_negative": _SENDER + "return [tell(outcome(sender.send, flags=-1))]",
    "flag_text": _SENDER + "return [tell(outcome(sender.send, tell('x'), '1'))]",
    "flag_none": _SENDER + "return [tell(outcome(sender.send, tell('x'), None))]",
    "list": _SENDER + "return [tell(outcome(sender.send, [tell('x')]))]",
    "tensor": _SENDER + "return [tell(outcome(sender.send, pb_utils.Tensor('a', np.zeros(1))))]",
    "three": _SENDER + "return [tell(outcome(sender.send, tell('x'), 1, 2))]",
    "unknown_keyword": _SENDER + "return [tell(outcome(sender.send, colour=1))]",
    "returned_first": _SENDER + "self.kept['sender'] = sender\nreturn [tell('returned')]",
    "returned_first_text": "return [tell(outcome(self.kept['sender'].send, tell('x')), outcome(self.kept['sender'].send, flags=1), outcome(self.kept['sender'].send, tell('x'), 1))]",
    "cancelled": _SENDER + "return [tell(sender.is_cancelled(), request.is_cancelled())]",
    "released_error_then_works": _SENDER + "outcome(sender.send, flags=7)\nsender.send(tell('sent'), 1)\nreturn None",
}
#: On Triton they never end, or end in a broken answer, or take the server with them.
HANGING = {
    "never_answered": "return None",
    "never_answered_in_list": "return [None]",
    "dropped_sender": _SENDER + "del sender\nreturn None",
    "sent_without_final": _SENDER + "sender.send(tell('sent'))\nreturn None",
    "sent_and_returned": _SENDER + "sender.send(tell('sent'))\nreturn [tell('returned')]",
    "sent_then_raises": _SENDER + "sender.send(tell('sent'))\nraise ValueError('boom')",
    "final_and_returned": _SENDER + "sender.send(tell('sent'), 1)\nreturn [tell('returned')]",
    "final_then_raises": _SENDER + "sender.send(tell('sent'), 1)\nraise ValueError('boom')",
    "release_flags_3": "request.set_release_flags(3)\nreturn [tell('fine')]",
    "made_cancelled": "return [tell(pb_utils.InferenceRequest(model_name='m', inputs=[], requested_output_names=[]).is_cancelled())]",
    "dies": "os._exit(3)",
    "requests_emptied": f"requests.clear()\nreturn {_GOOD}",
    "killed": "os.kill(os.getpid(), 9)",
}

CASES: tuple[AnyCase, ...] = (
    *(script(f"result_{name}", text) for name, text in _RESULTS.items()),
    *(script(f"raises_{name}", text) for name, text in _RAISES.items()),
    *(script(f"output_{name}", text) for name, text in _OUTPUTS.items()),
    *(script(f"sender_{name}", text) for name, text in _SENDS.items()),
    script("inputs_absent", "return [tell([t.name() for t in request.inputs()], pb_utils.get_input_tensor_by_name(request, 'X'))]"),
    script("inputs_modified", "t = request.inputs()[0]\nt.as_numpy()[0] = b'changed'\nreturn [tell(t.as_numpy(), request.inputs()[0].as_numpy())]"),
    script("inputs_kept", "self.kept['t'] = request.inputs()[0]\nreturn [tell('kept')]"),
    script("inputs_kept_seen", "return [tell(self.kept['t'].as_numpy()[0][:4], self.kept['t'].name())]"),
    script("requested_one", "return [tell(request.requested_output_names())]", outputs=[{"name": "TEXT"}]),
    script("requested_other", "return [tell('not asked for')]", outputs=[{"name": "OUT"}]),
    script("fork", "pid = os.fork()\nif not pid:\n    os._exit(7)\nreturn [tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))]"),
    script("asyncio_run", "async def f():\n    await asyncio.sleep(0)\n    return 5\nreturn [tell(asyncio.run(f()))]"),
    script("main_thread", "return [tell(threading.current_thread() is threading.main_thread())]"),
    script("release_flags_0", "request.set_release_flags(0)\nreturn [tell('fine')]"),
    statistics("executing_statistics", "script"),
    Scrape(name="executing_metrics", words=tuple(f'nv_inference_{name}{{model="script"' for name in ("request_success", "request_failure", "count", "exec_count"))),
)  # fmt: skip

_COROUTINES = {
    "returns": "await asyncio.sleep(0)\nreturn [tell('fine')]",
    "raises": "await asyncio.sleep(0)\nraise ValueError('boom')",
    "raises_at_once": "raise ValueError('boom')",
    "tuple": "return (tell('x'),)",
    "none": "sender = request.get_response_sender()\nsender.send(tell('sent'), 1)\nreturn None",
    "thread": "return [tell(threading.current_thread() is threading.main_thread(), threading.current_thread().daemon)]",
    "loop_running": "return [tell(asyncio.get_running_loop().is_running())]",
    "same_loop": "again = self.kept.setdefault('loop', asyncio.get_running_loop())\nreturn [tell(again is asyncio.get_running_loop())]",
    "same_loop_again": "again = self.kept.setdefault('loop', asyncio.get_running_loop())\nreturn [tell(again is asyncio.get_running_loop())]",
    "gathers": "async def one(n):\n    await asyncio.sleep(0)\n    return n\nreturn [tell(await asyncio.gather(one(1), one(2)))]",
    "task_left": "async def later():\n    await asyncio.sleep(0.02)\n    self.kept['later'] = 'done'\nself.kept['task'] = asyncio.create_task(later())\nreturn [tell('fine')]",
    "task_left_done": "await self.kept['task']\nreturn [tell(self.kept['later'])]",
    "cancelled": "raise asyncio.CancelledError('mine')",
    "cancelled_bare": "asyncio.current_task().cancel()\nawait asyncio.sleep(0)",
    "to_thread": "return [tell(await asyncio.to_thread(lambda: 5))]",
    "sender_later": "sender = request.get_response_sender()\nasync def later():\n    await asyncio.sleep(0.02)\n    sender.send(tell('later'), 1)\nself.kept['t'] = asyncio.create_task(later())\nreturn None",
    "timeout": "try:\n    await asyncio.wait_for(asyncio.sleep(5), 0.01)\nexcept asyncio.TimeoutError as error:\n    return [tell(error)]",
}

ASYNC: tuple[AnyCase, ...] = (
    *(script(f"coroutine_{name}", text, model="script_async") for name, text in _COROUTINES.items()),
    statistics("async_statistics", "script_async"),
)


def _pair(name: str, first: str, second: str = "") -> Rpc:
    """Two requests that are executed together, by the script of the first."""
    requests = [message(text or "-", model="batched", id=str(n)) for n, text in enumerate((first, second))]
    for request in requests:
        request["inputs"][0]["shape"] = [1, 1]
    return Rpc(name=name, requests=tuple(requests))


_PAIRS = {
    "both": "return [tell(len(requests)) for _ in requests]",
    "raises": "raise ValueError('boom')",
    "too_few": "return [tell('x')]",
    "too_many": "return [tell('x')] * 3",
    "one_error": "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('only this', pb_utils.TritonError.NOT_FOUND)), tell('fine')]",
    "one_bad_element": "return [tell('fine'), 'bad']",
    "same_response": "r = tell('shared')\nreturn [r, r]",
    "one_sent": "requests[1].get_response_sender().send(tell('sent'), 1)\nreturn [tell('returned'), None]",
    "both_sent": "for r in requests[::-1]:\n    r.get_response_sender().send(tell('sent', r.request_id()), 1)\nreturn None",
    "ids": "return [tell(r.request_id()) for r in requests]",
    "reversed_list": "requests.reverse()\nreturn [tell(r.request_id()) for r in requests]",
}

BATCHES: tuple[AnyCase, ...] = (
    *(_pair(f"pair_{name}", text) for name, text in _PAIRS.items()),
    statistics("pairs_statistics", "batched"),
)

_CODES = (
    "UNKNOWN",
    "INTERNAL",
    "NOT_FOUND",
    "INVALID_ARG",
    "UNAVAILABLE",
    "UNSUPPORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
)


def _unary(name: str, source: str, model: str = "script") -> Rpc:
    return Rpc(name=f"unary_{name}", requests=(message(source, model=model),), stream=False)


UNARY: tuple[AnyCase, ...] = (
    *(
        _unary(
            f"code_{code.lower()}",
            f"return [pb_utils.InferenceResponse(error=pb_utils.TritonError('told', pb_utils.TritonError.{code}))]",
        )
        for code in _CODES
    ),
    _unary("raises", "raise ValueError('boom')"),
    _unary("return_tuple", "return ()"),
    _unary("works", "return [tell('fine')]"),
    _unary("sender", _SENDER + "sender.send(tell('sent'), 1)\nreturn None"),
    _unary("sender_apart", _SENDER + "sender.send(tell('sent'))\nsender.send(flags=1)\nreturn None"),
    _unary("duplicates", "t = pb_utils.Tensor('OUT', np.zeros(1))\nreturn [pb_utils.InferenceResponse([t, t])]"),
)
