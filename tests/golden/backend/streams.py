"""Decoupled models over gRPC streams: senders, FINAL, errors, coroutines (sections 4.1 to 4.3, 2.10)."""

from __future__ import annotations

from tests.golden.backend.scripted import message, script, stream
from tests.golden.case import AnyCase, Case, Kept, Rpc, encoded, http, infer, statistics, tensor

_S = "sender = request.get_response_sender()\n"
_LATER = "threading.Timer(0.05, later).start()\n"
_ERROR = "pb_utils.InferenceResponse(error=pb_utils.TritonError('told', pb_utils.TritonError.NOT_FOUND))"

_STREAMS = {
    "one_with_final": _S + "sender.send(tell('a'), 1)",
    "one_and_final": _S + "sender.send(tell('a'))\nsender.send(flags=1)",
    "three": _S + "for n in range(3):\n    sender.send(tell(n))\nsender.send(flags=1)",
    "three_final_attached": _S + "for n in range(3):\n    sender.send(tell(n), flags=n == 2)",
    "none_at_all": _S + "sender.send(flags=1)",
    "final_none": _S + "sender.send(None, 1)",
    "thread": _S + "def later():\n    sender.send(tell('a'))\n    sender.send(tell('b'), 1)\n" + _LATER,
    "thread_after_return": _S
    + "sender.send(tell('first'))\ndef later():\n    sender.send(tell('later'), 1)\n"
    + _LATER,
    "same_response_again": _S + "r = tell('a')\nfor n in range(3):\n    sender.send(r)\nsender.send(flags=1)",
    "empty_response": _S + "sender.send(pb_utils.InferenceResponse([]))\nsender.send(flags=1)",
    "empty_response_final": _S + "sender.send(pb_utils.InferenceResponse([]), 1)",
    "other_outputs": _S + "sender.send(number(1))\nsender.send(tell('x'))\nsender.send(number(2), 1)",
    "error_then_more": _S + f"sender.send({_ERROR})\nsender.send(tell('more'))\nsender.send(flags=1)",
    "error_final": _S + f"sender.send({_ERROR}, 1)",
    "error_default_code": _S + "sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError('x')), 1)",
    "raises_first": "raise ValueError('boom')",
    "raises_after_one": _S + "sender.send(tell('a'))\nraise ValueError('boom')",
    "raises_after_final": _S + "sender.send(tell('a'), 1)\nraise ValueError('boom')",
    "returns_list": "return [tell('x')]",
    "returns_empty_list": "return []",
    "returns_none_in_list": "return [None]",
    "returns_list_after_final": _S + "sender.send(tell('a'), 1)\nreturn [tell('x')]",
    "returns_list_after_one": _S + "sender.send(tell('a'))\nreturn []",
    "returns_false": "return False",
    "closed_response": _S
    + "sender.send(flags=1)\nself.kept['text'] = [outcome(sender.send, tell('x')), outcome(sender.send, flags=1), outcome(sender.send, tell('x'), 1), outcome(sender.send), outcome(sender.send, flags=2)]",
    "closed_response_text": _S + "sender.send(tell(self.kept['text']), 1)",
    "bad_flag": _S + "sender.send(tell(outcome(sender.send, tell('x'), 2)), 1)",
    "flag_zero_alone": _S + "sender.send(tell(outcome(sender.send, flags=0)), 1)",
    "wrong_type": _S + "sender.send(tell(outcome(sender.send, 'x')), 1)",
    "closed_by_failure": "self.kept['sender'] = request.get_response_sender()\nraise ValueError('boom')",
    "closed_by_failure_text": _S + "sender.send(tell(outcome(self.kept['sender'].send, tell('x'))), 1)",
    "not_cancelled": _S + "sender.send(tell(sender.is_cancelled(), request.is_cancelled()), 1)",
    "requested_outputs": _S + "sender.send(tell(request.requested_output_names()), 1)",
    "request_id": _S + "sender.send(tell(request.request_id()), 1)",
    "many": _S + "for n in range(50):\n    sender.send(number(n))\nsender.send(flags=1)",
    "pruned": _S
    + "r = pb_utils.InferenceResponse([pb_utils.Tensor('NOBODY', np.zeros(1)), pb_utils.Tensor('OUT', np.zeros(1))])\nsender.send(r)\nsender.send(tell([t.name() for t in r.output_tensors()]), 1)",
    "dtype_not_declared": _S + "sender.send(pb_utils.InferenceResponse([pb_utils.Tensor('OUT', np.array([1]))]), 1)",
    "sends_from_two_threads": _S
    + "a = threading.Thread(target=lambda: sender.send(tell('a')))\na.start(); a.join()\nb = threading.Thread(target=lambda: sender.send(tell('b'), 1))\nb.start()",
}

DECOUPLED: tuple[AnyCase, ...] = (
    *(stream(f"stream_{name}", text) for name, text in _STREAMS.items()),
    stream("stream_two_requests", _S + "sender.send(tell('one'), 1)", _S + "sender.send(tell('two'), 1)"),
    stream("stream_without_empty_final", _S + "sender.send(tell('a'))\nsender.send(flags=1)", parameters={"triton_enable_empty_final_response": False}),
    stream("stream_none_without_empty_final", _S + "sender.send(flags=1)", parameters={"triton_enable_empty_final_response": False}),
    stream("stream_parameters_seen", _S + "sender.send(tell(sorted(json.loads(request.parameters()).items())), 1)", parameters={"mine": 1, "yours": "x", "on": True, "half": 0.5}),
    stream("stream_one_output", _S + "sender.send(pb_utils.InferenceResponse([pb_utils.Tensor('TEXT', np.array(['a'], object)), pb_utils.Tensor('OUT', np.zeros(1))]), 1)", outputs=[{"name": "OUT"}]),
    stream("stream_unknown_model", "-", model="nobody"),
    stream("stream_unknown_output", _S + "sender.send(tell('a'), 1)", outputs=[{"name": "NOBODY"}]),
    stream("stream_of_plain_model", "return [tell('x')]", model="script"),
    stream("stream_of_plain_model_raises", "raise ValueError('boom')", model="script"),
    stream("stream_of_plain_model_error", f"return [{_ERROR}]", model="script"),
    stream("stream_of_plain_model_sender", _S + "sender.send(tell('a'), 1)\nreturn None", model="script"),
    stream("stream_of_plain_model_sender_apart", _S + "sender.send(tell('a'))\nsender.send(flags=1)\nreturn None", model="script"),
    stream("stream_grpc_error", f"return [{_ERROR}]", model="script", metadata=[("triton_grpc_error", "true")]),
    stream("stream_grpc_error_raises", "raise ValueError('boom')", metadata=[("triton_grpc_error", "true")]),
    stream("stream_grpc_error_none", _S + "sender.send(tell('a'), 1)", metadata=[("triton_grpc_error", "true")]),
    script("decoupled_over_http", "-", model="decoupled"),
    infer("decoupled_over_http_generate", "decoupled", {"inputs": [tensor("SCRIPT", "BYTES", [1], ["-"])]}),
    Rpc(name="decoupled_unary", requests=(message("-"),), stream=False),
    statistics("decoupled_statistics", "decoupled"),
)  # fmt: skip

_COROUTINES = {
    "sends": _S + "await asyncio.sleep(0)\nsender.send(tell('a'), 1)",
    "sends_later": _S
    + "async def later():\n    await asyncio.sleep(0.02)\n    sender.send(tell('a'), 1)\nself.kept['t'] = asyncio.create_task(later())",
    "returns_list": _S + "sender.send(tell('a'), 1)\nreturn [tell('x')]",
    "raises_after_final": _S + "sender.send(tell('a'), 1)\nraise ValueError('boom')",
    "three": _S + "for n in range(3):\n    await asyncio.sleep(0)\n    sender.send(tell(n), flags=n == 2)",
}
ASYNC: tuple[AnyCase, ...] = (
    *(stream(f"async_stream_{name}", text, model="decoupled_async") for name, text in _COROUTINES.items()),
    stream(
        "async_stream_overlaps",
        _S + "self.kept['event'] = asyncio.Event()\nawait self.kept['event'].wait()\nsender.send(tell('first came last'), 1)",
        _S + "sender.send(tell('second came first'), 1)\nself.kept['event'].set()",
        model="decoupled_async",
    ),
    statistics("async_decoupled_statistics", "decoupled_async"),
)  # fmt: skip


def _generate(name: str, source: str, *, streamed: bool = False) -> Case:
    path = f"/v2/models/decoupled/{'generate_stream' if streamed else 'generate'}"
    return Case(name=f"generate_{name}", request=http("POST", path, encoded({"SCRIPT": source})), kept=Kept.BODY)


_GENERATED = {
    "one": _S + "sender.send(tell('a'), 1)",
    "one_final_apart": _S + "sender.send(tell('a'))\nsender.send(flags=1)",
    "two": _S + "sender.send(tell('a'))\nsender.send(tell('b'), 1)",
    "none": _S + "sender.send(flags=1)",
    "raises": "raise ValueError('boom')",
    "error": _S + f"sender.send({_ERROR}, 1)",
    "one_then_error": _S + f"sender.send(tell('a'))\nsender.send({_ERROR}, 1)",
}
_UNTIL_CANCELLED = """end = time.monotonic() + 5
while not (seen := {}.is_cancelled()) and time.monotonic() < end:
    time.sleep(0.01)
self.kept['seen'] = seen, {}.is_cancelled()
"""
_SENT = _S + "sender.send(tell('waiting'))\n" + _UNTIL_CANCELLED
_TOLD = "tell(self.kept.pop('seen'))"
CANCELLED: tuple[AnyCase, ...] = (
    stream("cancel_stream", _SENT.format("sender", "request") + "sender.send(flags=1)", cancel_after=1),
    stream("cancel_stream_seen", _S + f"sender.send({_TOLD}, 1)"),
    stream("cancel_deadline", _SENT.format("request", "sender") + "sender.send(tell('too late'), 1)", timeout_s=1),
    stream("cancel_deadline_seen", _S + f"sender.send({_TOLD}, 1)"),
    Rpc(
        name="cancel_unary_deadline",
        requests=(
            message(_UNTIL_CANCELLED.format("request", "request") + "return [tell('too late')]", model="script"),
        ),
        stream=False,
        timeout_s=1,
    ),
    script("cancel_unary_deadline_seen", f"return [{_TOLD}]"),
    stream("cancel_other_goes_on", _S + "sender.send(tell(sender.is_cancelled()), 1)"),
)
GENERATED: tuple[AnyCase, ...] = (
    *(_generate(name, text) for name, text in _GENERATED.items()),
    *(_generate(f"stream_{name}", text, streamed=True) for name, text in _GENERATED.items()),
)

#: On Triton they never end.
HANGING: dict[str, tuple[str, str]] = {
    "dropped": ("decoupled", _S + "sender.send(tell('a'))"),
    "never": ("decoupled", "return None"),
    "thread_raises": ("decoupled", _S + "def later():\n    raise ValueError('lost')\n" + _LATER),
    "coroutine_raises": ("decoupled_async", "raise ValueError('lost')"),
    "coroutine_raises_after_one": ("decoupled_async", _S + "sender.send(tell('a'))\nraise ValueError('lost')"),
    "coroutine_forgets": ("decoupled_async", _S + "sender.send(tell('a'))"),
    "generator": ("decoupled", "yield 1"),
    "dies_later": ("decoupled", _S + "threading.Timer(0.05, lambda: os._exit(3)).start()\nself.kept['s'] = sender"),
    "dies_at_once": ("decoupled", _S + "sender.send(tell('a'))\nos._exit(3)"),
}
HANGING_CASES = {
    name: stream(f"hang_{name}", text, model=model, timeout_s=4) for name, (model, text) in HANGING.items()
}
