"""Where a model here meets something else than on Triton 2.51, on purpose: what, and why. All else that differs is a bug."""

from __future__ import annotations

import json

from tests.golden.differences import ALL_PROBLEMS, NEWER, Difference
from tests.golden.exchange import Answer

PLAIN_METHODS = (
    "methods without arguments are plain Python methods, which say it in Python's words; checking costs at every call"
)
PYTHON_ENUMS = "the enums are Python's own, with all that those can do"
FORGIVING = "what can only be meant one way is taken so"
USEFUL = "it is what the name says"
CONTIGUOUS = "Triton reads other values than the tensor has"
PROCESS_ENDS = "ends the model's process on Triton"
SERVER_ENDS = "ends Triton's server"
NEVER_ANSWERED = "on Triton the client waits for ever"
TWO_ANSWERS = "Triton sends the response and an error after it"
CIRCLE = "on Triton a circle of calls waits for ever"
WHOLE_TEXT = "a text does not end at a zero byte"
WHOLE_WAY = "every frame from execute to the fault is shown, with the line that was executing"
UNTOUCHED = "a response is the model's own and stays as it is"
LATEST = "what is sent is what the array holds when it is sent"
ONE_FINAL = "the only response of a plain model is its final one"
NO_DRIVER = "there is no driver to quote"
COROUTINE_FAILS = "an execution fails when its coroutine does"
WRONG_SHAPE = "Triton gives both outputs the shape of nothing"
TWICE = "Triton counts every request of an iterative sequence as a failure, once more"
PROMETHEUS = "the text format has rules for line ends"
LEFT_OUT = "a file that would be left out without a word is a mistake"
NEVER_LOADED = "on Triton the load never ends"

_FINAL = {"triton_final_response": {"boolParam": True}}


def _tells(why: str, *texts: str) -> Difference:
    return Difference(why, lambda _: {"TEXT": list(texts)})


def _fails(why: str, text: str, status: int = 500) -> Difference:
    body = json.dumps({"error": text}, ensure_ascii=False, separators=(",", ":"))
    return Difference(why, lambda _: {"body": body, "status": status})


def _streams(why: str, text: str) -> Difference:
    return Difference(why, lambda _: {"error": text, "id": "1", "parameters": _FINAL})


def _replaced(why: str, *pairs: tuple[str, str]) -> Difference:
    """Triton's answer with other texts in it."""

    def ours(answer: Answer) -> Answer:
        changed: Answer = {}
        for key, value in answer.items():
            text = json.dumps(value, ensure_ascii=False)
            for triton, here in pairs:
                text = text.replace(json.dumps(triton)[1:-1], json.dumps(here)[1:-1])
            changed[key] = json.loads(text)
        return changed

    return Difference(why, ours)


def _plain(method: str, problem: str = "takes 1 positional argument but 2 were given") -> Difference:
    return _tells(PLAIN_METHODS, f"raises TypeError: {method}() {problem}")


_NO_SELF = "raises AttributeError: 'int' object has no attribute '{}'"
_ENUMS = {
    "error": ("TritonError.__ErrorCode", "UNKNOWN INTERNAL NOT_FOUND INVALID_ARG UNAVAILABLE UNSUPPORTED ALREADY_EXISTS CANCELLED"),
    "level": ("Logger.LogLevel", "INFO WARNING ERROR VERBOSE"),
    "memory": ("MemoryType", "TRITONSERVER_MEMORY_GPU TRITONSERVER_MEMORY_CPU"),
    "kind": ("MetricKind", "COUNTER GAUGE HISTOGRAM"),
}  # fmt: skip


def _enum(short: str, name: str, members: str) -> dict[str, Difference]:
    shown = [f"<{name.rpartition('.')[2]}.{member}: {number}>" for number, member in enumerate(members.split())]
    named = ", ".join(f"'{member}': {text}" for member, text in zip(members.split(), shown))
    said = {
        "from_bad_number": f"raises ValueError: 99 is not a valid {name}",
        "iterated": f"[{', '.join(shown)}]",
        "members": f"mappingproxy({{{named}}})",
        "set_name": "raises AttributeError: <enum 'Enum'> cannot set attribute 'name'",
    }
    return {f"enum_{short}_{what}": _tells(PYTHON_ENUMS, text) for what, text in said.items()}


_SURFACE = {
    **{case: each for short, parts in _ENUMS.items() for case, each in _enum(short, *parts).items()},
    "enum_instance_attribute_set": _tells(
        PYTHON_ENUMS, "raises AttributeError: 'c_python_backend_utils.TritonError' object attribute 'NOT_FOUND' is read-only"
    ),
    "deserialize_short_length": _tells(NEWER, "raises error: Invalid bytes tensor data: incomplete length field"),
    "deserialize_short_text": _tells(NEWER, "raises error: Invalid bytes tensor data: string extends beyond buffer"),
    "module_subclass_without_init": _tells(PLAIN_METHODS, "raises AttributeError: 'Mine' object has no attribute '_name'"),
    "module_unconstructible": _replaced(
        USEFUL,
        (
            "__init__(): incompatible constructor arguments. The following argument types are supported:\\n"
            "    1. c_python_backend_utils.ResponseIterator(arg0: c_python_backend_utils.InferenceResponse)\\n\\nInvoked with: ",
            "c_python_backend_utils.ResponseIterator: No constructor defined!",
        ),
    ),
}  # fmt: skip

_TENSORS = {
    "tensor_call_as_numpy_with_argument": _plain("Tensor.as_numpy", "got an unexpected keyword argument 'copy'"),
    "tensor_call_is_cpu_with_argument": _plain("Tensor.is_cpu"),
    "tensor_call_name_with_argument": _plain("Tensor.name"),
    "tensor_call_shape_with_argument": _plain("Tensor.shape"),
    "tensor_call_unbound": _plain("Tensor.name", "missing 1 required positional argument: 'self'"),
    "tensor_call_unbound_wrong_self": _tells(PLAIN_METHODS, _NO_SELF.format("_name")),
    "tensor_call_triton_dtype": _tells(USEFUL, "11"),
    "to_dlpack_to_dlpack_argument": _plain("Tensor.to_dlpack"),
}
_NOT_CONTIGUOUS = (
    "raises TritonModelException: DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored in"
    " C-Order are supported."
)
_CONSUMED = "DLPack capsule was consumed already, or is not a 'dltensor' capsule."
_DLPACK = {
    "from_dlpack_layout_one_axis_strided": _tells(CONTIGUOUS, _NOT_CONTIGUOUS),
    "from_dlpack_layout_outer_strided": _tells(CONTIGUOUS, _NOT_CONTIGUOUS),
    "from_dlpack_on_instance": _tells(FORGIVING, "'c'"),
    "from_dlpack_numpy": _tells(PROCESS_ENDS, "<b int64[3] [0, 1, 2]>"),
    "from_dlpack_numpy_strided": _tells(PROCESS_ENDS, _NOT_CONTIGUOUS),
    "from_dlpack_used_twice": _tells(
        PROCESS_ENDS,
        f"['<b float32[2, 3] [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]>', \"raises TritonModelException: {_CONSUMED}\"]",
    ),
}

_SIGNATURE = ("TritonError = None)", "TritonError = None, parameters: object = None)")
_MESSAGES = {
    "request_inputs_argument": _plain("InferenceRequest.inputs"),
    "request_sender_argument": _plain("InferenceRequest.get_response_sender"),
    "request_unbound_self": _tells(PLAIN_METHODS, _NO_SELF.format("_flags")),
    "response_has_error_argument": _plain("InferenceResponse.has_error"),
    "metric_argument_value_argument": _plain("Metric.value"),
    **{
        f"response_{name}": _replaced(NEWER, _SIGNATURE)
        for name in (
            "array", "dict", "error_exception", "error_text", "generator", "none", "none_keyword", "set", "tensor", "text",
            "unknown_keyword",
        )
    },
    "response_attributes": _tells(NEWER, "['error', 'has_error', 'output_tensors', 'parameters']"),
    "response_parameters": _tells(NEWER, "[]"),
    "response_parameters_method": _tells(NEWER, "'{}'"),
}  # fmt: skip

_ADDED = "{'name': 'J', 'data_type': 'TYPE_INT8', 'dims': [2]}"
_CONFIG = {
    "config_batch_absent": _tells(FORGIVING, "{'name': 'M', 'max_batch_size': 2}"),
    "config_input_existing_bare": _tells(FORGIVING, f"{{'name': 'M', 'input': [{_ADDED}]}}"),
    "config_input_list_absent": _tells(FORGIVING, f"{{'name': 'M', 'input': [{_ADDED}]}}"),
    "config_output_list_absent": _tells(
        FORGIVING,
        "{'name': 'M', 'max_batch_size': 4, 'input': [{'name': 'I', 'data_type': 'TYPE_FP32', 'dims': [1]}],"
        " 'output': [{'name': 'P', 'data_type': 'TYPE_INT8', 'dims': [2]}]}",
    ),
    "control_load_config_invalid": _replaced(
        ALL_PROBLEMS, ("for add;\n", "for add; model input 'X' must specify 'dims' for add;\n")
    ),
    "control_load_files_bad_key": _tells(
        LEFT_OUT,
        "raises TritonModelException: Failed to load model: Failed to process the request for model 'script_0_0', message:"
        " failed to load 'add', failed to poll from model repository",
    ),
    "control_load_empty_name": _replaced(
        NEWER,
        (
            "failed to load '', failed to poll from model repository",
            "Model name cannot be empty. Please enter a valid name to deploy.",
        ),
    ),
}

_FAILED = "Failed to process the request(s) for model '{}', message: "
_NOBODY = (
    "nothing can answer this request any more: execute returned no response for it, and its response sender was dropped"
    " without FINAL"
)
_OUTER = "\\n  <repository>/script_async/1/model.py(10): execute\\n"
_EXECUTING = {
    "coroutine_raises": _replaced(WHOLE_WAY, ("<script>(3): execute\\n", f"<script>(3): execute{_OUTER}")),
    "coroutine_raises_at_once": _replaced(WHOLE_WAY, ("<script>(2): execute\\n", f"<script>(2): execute{_OUTER}")),
    "raises_recursion": _replaced(WHOLE_WAY, ("<script>(10)", "<script>(8)")),
    "output_error_nul": _replaced(WHOLE_TEXT, ('"a"', '"a\\u0000b"')),
    "raises_nul": _fails(
        WHOLE_TEXT,
        _FAILED.format("script_0_0")
        + "ValueError: a\0b\n\nAt:\n  <script>(2): execute\n  <repository>/script/1/model.py(116): execute\n",
    ),
    "output_pruned_seen": _tells(UNTOUCHED, "['TEXT', 'EXTRA']"),
    "unary_duplicates": Difference(WRONG_SHAPE, lambda _: {"OUT": "FP64[1] [0.0]"}),
    "hang_never_answered": _fails(NEVER_ANSWERED, _NOBODY),
    "hang_never_answered_in_list": _fails(NEVER_ANSWERED, _NOBODY),
    "hang_dropped_sender": _fails(NEVER_ANSWERED, _NOBODY),
    "hang_sent_without_final": _fails(NEVER_ANSWERED, _NOBODY),
    "hang_sent_and_returned": _tells(TWO_ANSWERS, "sent"),
    "hang_sent_then_raises": _tells(TWO_ANSWERS, "sent"),
    "hang_made_cancelled": _tells(SERVER_ENDS, "False"),
    "hang_requests_emptied": _tells(PROCESS_ENDS, "fine"),
}

_SENDERLESS = "nothing can end this request any more: its response sender was dropped without TRITONSERVER_RESPONSE_COMPLETE_FINAL"
_LOST = _FAILED.format("decoupled_async_0_0") + "ValueError: lost\n\nAt:\n  <script>({}): execute\n  <repository>/decoupled_async/1/model.py(10): execute\n"  # fmt: skip


def _one_failed(answer: Answer) -> Answer:
    before, apart, batches = answer["body"].partition('"batch_stats"')
    for triton, here in (
        ('"inference_count":7', '"inference_count":6'),
        ('{"count":7,', '{"count":6,'),
        ('"fail":{"count":0,"ns":0}', '"fail":{"count":1,"ns":"<duration>"}'),
    ):
        before = before.replace(triton, here)
    return {**answer, "body": before + apart + batches}


_METRICS = {
    "reschedule_statistics": _replaced(TWICE, ('"fail":{"count":12,', '"fail":{"count":4,')),
    "reschedule_decoupled_statistics": _replaced(
        TWICE, ('"fail":{"count":2,"ns":"<duration>"}', '"fail":{"count":0,"ns":0}')
    ),
    "metrics_page": _replaced(
        PROMETHEUS,
        ("# HELP golden_shown_help a \\ b", '# HELP golden_shown_help a \\\\ b\\nc "d"'),
    ),
}
_STREAMS = {
    "stream_of_plain_model_sender_apart": Difference(ONE_FINAL, lambda answer: {**answer, "parameters": _FINAL}),
    "stream_pruned": _replaced(UNTOUCHED, ("['OUT']", "['NOBODY', 'OUT']")),
    "async_decoupled_statistics": Difference(COROUTINE_FAILS, _one_failed),
    "hang_dropped": _streams(NEVER_ANSWERED, _SENDERLESS),
    "hang_never": _streams(NEVER_ANSWERED, _SENDERLESS),
    "hang_thread_raises": _streams(NEVER_ANSWERED, _SENDERLESS),
    "hang_coroutine_forgets": _streams(NEVER_ANSWERED, _SENDERLESS),
    "hang_coroutine_raises": _streams(NEVER_ANSWERED, _LOST.format(2)),
    "hang_coroutine_raises_after_one": _streams(NEVER_ANSWERED, _LOST.format(4)),
    "hang_generator": _streams(
        NEVER_ANSWERED,
        _FAILED.format("decoupled_0_0") + "RuntimeError: Task got bad yield: 1\n\nAt:\n  <script>(2): execute\n",
    ),
    "hang_dies_later": _streams(NEVER_ANSWERED, "Stub process 'decoupled_0_0' is not healthy."),
}

_WAITS = "<<__ErrorCode.INTERNAL: 1> 'Model script - Error when running inference: every model in this circle of calls would wait for the next one for ever: {}'>"  # fmt: skip
_CALLING = {
    "bls_error_code": _replaced(NEWER, ("<__ErrorCode.INTERNAL: 1>", "<__ErrorCode.NOT_FOUND: 2>")),
    "bls_queue_timeout": _replaced(NEWER, ("<__ErrorCode.INTERNAL: 1>", "<__ErrorCode.UNAVAILABLE: 4>")),
    "bls_iterator_attributes": _tells(NEWER, "['cancel']"),
    "bls_iterator_cancel": _tells(NEWER, "None"),
    "bls_input_changed_between": _tells(LATEST, "[<OUT float32[1] [2.0]>]", "[<OUT float32[1] [6.0]>]"),
    "bls_iterator_of_plain_model_sender_apart": _tells(ONE_FINAL, "[[<TEXT object[1] [b'a']>]]"),
    "bls_preferred_gpu": _replaced(
        NO_DRIVER,
        (
            "GPU: failed to get device: CUDA driver version is insufficient for CUDA runtime version\\n\\tGPU_POOL:"
            " CudaMemoryManager has no preallocated CUDA memory",
            "GPU: this server has no GPU memory for answers",
        ),
    ),
    "hang_bls_self": _tells(CIRCLE, _WAITS.format("script -> script")),
    "hang_bls_incoming_request": _tells(CIRCLE, _WAITS.format("script -> script")),
    "hang_bls_circle": _tells(
        CIRCLE, f'[<TEXT object[1] [b"{_WAITS.format("callee -> script -> callee")}"]>]'
    ),
    "hang_bls_iterator_error_inside": _tells(
        NEVER_ANSWERED, "[[<TEXT object[1] [b'a']>], <<__ErrorCode.NOT_FOUND: 2> 'told'>]"
    ),
    "hang_bls_iterator_raises_after_one": _tells(
        NEVER_ANSWERED,
        "[[<TEXT object[1] [b'a']>], <<__ErrorCode.INTERNAL: 1> \"Failed to process the request(s) for model"
        " 'decoupled_0_0', message: ValueError: inner\\n\\nAt:\\n  <script>(3): execute\\n"
        "  <repository>/decoupled/1/model.py(116): execute\\n\">]",
    ),
}  # fmt: skip

_UNAVAILABLE = "load failed for model '{0}': version 1 is at UNAVAILABLE state: Internal: {1};\n"
_LIFECYCLE = {
    **{
        f"hang_load_{name}": _fails(
            NEVER_LOADED, _UNAVAILABLE.format(name, f"Stub process '{name}_0' is not healthy."), 400
        )
        for name in ("complete_dies", "complete_killed")
    },
    "hang_load_warmup_fails": _fails(
        NEVER_LOADED,
        "load failed for model 'warmup_fails': version 1 is at UNAVAILABLE state: Invalid argument: failed to run warmup"
        " sample 'W': Failed to process the request(s) for model 'warmup_fails_0', message: ValueError: cold\n\nAt:\n"
        "  <repository>/warmup_fails/1/model.py(11): execute\n; ;\n",
        400,
    ),
    "hang_load_file_missing": _fails(
        NEVER_LOADED,
        _UNAVAILABLE.format("file_missing", "Python model file not found in '<repository>/file_missing/1/model.py'"),
        400,
    ),
}

DIFFERENCES: dict[str, Difference] = {
    **_SURFACE, **_TENSORS, **_DLPACK, **_MESSAGES, **_CONFIG, **_EXECUTING, **_METRICS, **_STREAMS, **_CALLING, **_LIFECYCLE,
}  # fmt: skip

#: None now: what is named here is not compared until it is there.
WAITING: dict[str, str] = {}

#: What a Triton does not always answer the same, and why.
UNSTEADY: dict[str, str] = {
    "hang_load_warmup_fails": "whether the load ends is a race inside of Triton",
    "control_load_config_invalid": "a race inside of Triton may end it",
}
