"""The classification extension: the names of an output's largest values in place of its values."""

from __future__ import annotations

from tests.golden.case import Case, infer, tensor

_BATCH = tensor("FLOATS", "FP32", [2, 5], [0.1, 0.7, 0.5, 0.7, -3, 1e10, 2, 3, 4, 1e-9])
_INTS = tensor("INTS", "INT16", [1, 3], [-5, 7, 32767])
_BOOLS = tensor("BOOLS", "BOOL", [1, 2], [True, False])


def _ask(name: str, count: object, given: object = _BATCH, output: str = "FLOATS_OUT", model: str = "classes") -> Case:
    outputs = [{"name": output, "parameters": {"classification": count}}]
    return infer(name, model, {"inputs": [given], "outputs": outputs})


CASES = (
    _ask("classes_some", 3),
    _ask("classes_all", 30),
    _ask("classes_none", 0, _INTS, "INTS_OUT"),
    _ask("classes_of_integers", 2, _INTS, "INTS_OUT"),
    _ask("classes_of_one", 1, tensor("FLOATS", "FP32", [8, 1], list(range(8)))),
    _ask("classes_of_bools", 2, _BOOLS, "BOOLS_OUT"),
    _ask("classes_negative", -1),
    _ask("classes_float", 1.5),
    _ask("classes_text", "3"),
    infer(
        "classes_of_no_numbers",
        "classes",
        '{"inputs":[{"name":"FLOATS","datatype":"FP32","shape":[1,4],"data":[NaN,Infinity,-Infinity,-0.0]}],'
        '"outputs":[{"name":"FLOATS_OUT","parameters":{"classification":9}}]}',
    ),
    infer(
        "classes_binary",
        "classes",
        {
            "id": "7",
            "inputs": [_BATCH, tensor("INTS", "INT16", [2, 1], [1, 2])],
            "outputs": [
                {"name": "INTS_OUT", "parameters": {"binary_data": True}},
                {"name": "FLOATS_OUT", "parameters": {"classification": 1, "binary_data": True}},
            ],
        },
    ),
    _ask("classes_without_batch", 4, model="flat_classes"),
    _ask("classes_of_an_ensemble", 2, tensor("IN", "FP32", [1, 4], [1, 2, 3, 4]), "OUT", "chained_classes"),
    infer(
        "classes_in_a_region",
        "classes",
        {
            "inputs": [_BATCH],
            "outputs": [{"name": "FLOATS_OUT", "parameters": {"classification": 1, "shared_memory_region": "r"}}],
        },
    ),
)
