"""The code around a function that makes it a Triton model: read inputs, call it, wrap what it returns.

Pure: facts in, source out. What is written needs numpy and `triton_python_backend_utils` only, and is meant to be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from jupyter_pyserve.notebook.functions.annotations import FunctionFacts, Spec

_FINAL = "pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL"


def beginning(name: str, function: str, facts: FunctionFacts) -> str:
    """What stands above everything else."""
    lines = [
        f'"""Model \'{name}\', written by jupyter_pyserve from the function \'{function}\'."""',
        "",
        "from __future__ import annotations",
        "",
        *(["import asyncio", ""] if facts.is_async else []),
        "import numpy",
        "import triton_python_backend_utils as pb_utils",
    ]
    return "\n".join(lines) + "\n"


def ending(function: str, facts: FunctionFacts, *, batch: bool) -> str:
    """What stands below the function."""
    model = _batching(function, facts) if batch else _streaming(function, facts) if facts.streams else None
    model = model or _answering(function, facts)
    reading = _stacked(facts) if batch else _inputs(facts)
    return "\n\n\n".join(["\n".join(lines) for lines in (model, reading, _outputs(facts, batch=batch))]) + "\n"


def _answering(function: str, facts: FunctionFacts) -> list[str]:
    if facts.is_async:
        return [
            "class TritonPythonModel:",
            "    async def execute(self, requests):",
            "        return list(await asyncio.gather(*[self._answer(request) for request in requests]))",
            "",
            "    async def _answer(self, request):",
            f"        return pb_utils.InferenceResponse(_outputs(await {function}(**_inputs(request))))",
        ]
    return [
        "class TritonPythonModel:",
        "    def execute(self, requests):",
        "        return [self._answer(request) for request in requests]",
        "",
        "    def _answer(self, request):",
        f"        return pb_utils.InferenceResponse(_outputs({function}(**_inputs(request))))",
    ]


def _streaming(function: str, facts: FunctionFacts) -> list[str]:
    loop = f"for answer in {function}(**_inputs(request)):"
    if facts.is_async:
        head = [
            "    async def execute(self, requests):",
            "        await asyncio.gather(*[self._stream(request) for request in requests])",
            "",
            "    async def _stream(self, request):",
        ]
        loop = f"async {loop}"
    else:
        head = [
            "    def execute(self, requests):",
            "        for request in requests:",
            "            self._stream(request)",
            "",
            "    def _stream(self, request):",
        ]
    return [
        "class TritonPythonModel:",
        *head,
        "        sender = request.get_response_sender()",
        "        try:",
        f"            {loop}",
        "                if sender.is_cancelled():",
        "                    break",
        "                sender.send(pb_utils.InferenceResponse(_outputs(answer)))",
        "        except Exception as error:",
        '            problem = pb_utils.TritonError(f"{type(error).__name__}: {error}")',
        f"            sender.send(pb_utils.InferenceResponse([], problem), flags={_FINAL})",
        "        else:",
        f"            sender.send(flags={_FINAL})",
    ]


def _batching(function: str, facts: FunctionFacts) -> list[str]:
    first = facts.inputs[0].name
    wait = "await " if facts.is_async else ""
    return [
        "class TritonPythonModel:",
        f"    {'async ' if facts.is_async else ''}def execute(self, requests):",
        f"        outputs = _outputs({wait}{function}(**_stacked(requests)))",
        "        responses = []",
        "        start = 0",
        "        for request in requests:",
        f'            rows = len(_array(request, "{first}"))',
        "            parts = [pb_utils.Tensor(item.name(), item.as_numpy()[start : start + rows]) for item in outputs]",
        "            responses.append(pb_utils.InferenceResponse(parts))",
        "            start += rows",
        "        return responses",
    ]


def _inputs(facts: FunctionFacts) -> list[str]:
    lines = ["def _inputs(request):", "    given = {}"]
    for spec in facts.inputs:
        lines.append(f'    tensor = pb_utils.get_input_tensor_by_name(request, "{spec.name}")')
        indent = "    "
        if spec.optional:
            lines.append("    if tensor is not None:")
            indent = "        "
        lines.append(f'{indent}given["{spec.name}"] = {_from_array(spec)("tensor.as_numpy()")}')
    return [*lines, "    return given"]


def _stacked(facts: FunctionFacts) -> list[str]:
    lines = ["def _stacked(requests):", "    given = {}"]
    for spec in facts.inputs:
        lines.append(f'    array = numpy.concatenate([_array(request, "{spec.name}") for request in requests])')
        lines.append(f'    given["{spec.name}"] = {_from_array(spec)("array")}')
    reading = "    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()"
    return [*lines, "    return given", "", "", "def _array(request, name):", reading]


def _outputs(facts: FunctionFacts, *, batch: bool) -> list[str]:
    lines = ["def _outputs(answer):", "    return ["]
    for number, spec in enumerate(facts.outputs):
        value = {
            "single": "answer",
            "tuple": f"answer[{number}]",
            "fields": f"answer.{spec.member}",
            "keys": f"answer[{_quoted(spec.member)}]",
        }[facts.result]
        lines.append(f"        pb_utils.Tensor({_quoted(spec.name)}, {_to_array(spec, value, batch=batch)}),")
    return [*lines, "    ]"]


def _quoted(name: str) -> str:
    """A name as a text of the code, whatever it is."""
    return json.dumps(name, ensure_ascii=False)


def _from_array(spec: Spec) -> Callable[[str], str]:
    """How an array becomes what the function takes."""
    if spec.form == "tensor":
        return lambda array: array
    if spec.form == "row":
        return lambda array: f"{array}.reshape(-1)"
    if spec.form == "list":
        if spec.datatype == "STRING":
            return lambda array: f"[item.decode() for item in {array}.reshape(-1)]"
        return lambda array: f"{array}.reshape(-1).tolist()"
    return lambda array: f"{array}.item()" + (".decode()" if spec.datatype == "STRING" else "")


def _to_array(spec: Spec, value: str, *, batch: bool) -> str:
    """How what the function returns becomes an array."""
    if spec.form == "value":
        return f"numpy.array([{value}{'.encode()' if spec.datatype == 'STRING' else ''}], dtype={spec.numpy_name})"
    if spec.datatype == "STRING":
        value = f"[item.encode() for item in {value}]"
    array = f"numpy.asarray({value}, dtype={spec.numpy_name})"
    if spec.form == "tensor":
        return array
    return f"{array}.reshape(-1, 1)" if batch else f"{array}.reshape(-1)"


def describe(facts: FunctionFacts) -> str:
    """'(image FP32 [-1, 224]) -> (label STRING [1])', for a reader."""
    sides = [
        ", ".join(f"{item.name} {item.data_type} {list(item.dims)}" for item in side)
        for side in (facts.inputs, facts.outputs)
    ]
    return f"({sides[0]}) -> ({sides[1]})"
