"""Rules on the steps of an ensemble."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import parse_pbtxt, validate_stage_a
from jupyter_pyserve.model.ensembles import EnsembleGraph
from jupyter_pyserve.model.scheduling import EnsembleScheduling, EnsembleStep
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.model.validation_ensemble import member_problems

IO = 'input { name: "I" data_type: TYPE_FP32 dims: 1 } output { name: "O" data_type: TYPE_FP32 dims: 1 }'


def problems(steps: str) -> list[str]:
    text = f'platform: "ensemble" {IO} ensemble_scheduling {{ {steps} }}'
    return validate_stage_a(parse_pbtxt(text, model_name="E", path="p"))


def step(*, source: str, target: str) -> str:
    return (
        f'step {{ model_name: "m" model_version: -1 input_map {{ key: "x" value: "{source}" }} '
        f'output_map {{ key: "y" value: "{target}" }} }}'
    )


def test_a_chain_is_fine() -> None:
    assert problems(step(source="I", target="mid") + step(source="mid", target="O")) == []


def test_a_step_must_say_everything() -> None:
    assert problems(step(source="I", target="O") + "step { }") == [
        "must specify 'model_name' in step 1 of ensemble 'E'",
        "must specify 'input_map' in step 1 of ensemble 'E'",
        "must specify 'output_map' in step 1 of ensemble 'E'",
    ]


def test_a_tensor_is_written_once_and_each_end_is_used() -> None:
    assert problems(step(source="a", target="b") + step(source="a", target="b")) == [
        "ensemble tensor 'b' can appear in an output map only once for ensemble 'E' step 1",
        "ensemble input 'I' for ensemble E' is not used",
        "ensemble output 'O' for ensemble E' is not used",
    ]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("I", "O"), ("I", "a")], ["ensemble tensor 'a' is unused in ensemble 'E'"]),
        ([("I", "O"), ("a", "b")], [f"ensemble tensor '{name}' is unused in ensemble 'E'" for name in "ab"]),
        ([("I", "a"), ("O", "O")], ["output 'O' for ensemble 'E' is not written"]),
        (
            [("I", "a"), ("b", "c"), ("c", "O")],
            [
                "output 'O' for ensemble 'E' is not written: at least one of its depending tensors, 'b', is not "
                "connected"
            ],
        ),
    ],
)
def test_every_tensor_is_made_and_read(steps: list[tuple[str, str]], expected: list[str]) -> None:
    assert problems(" ".join(step(source=source, target=target) for source, target in steps)) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("instance_group {}", "instance group should not be specified for ensemble 'E'"),
        ("optimization {}", "optimization should not be specified for ensemble 'E'"),
        ('model_warmup { name: "w" }', "model_warmup can not be specified for ensemble 'E'"),
    ],
)
def test_what_is_said_of_instances_is_not_an_ensembles(entry: str, expected: str) -> None:
    assert problems(f"{step(source='I', target='O')} }} {entry} parameters {{ key: 'k'") == [expected]


def signature(name: str, inputs: str, outputs: str, *, max_batch_size: int = 0, decoupled: bool = False) -> Signature:
    def tensors(kind: str, texts: str) -> str:
        given = (text.split(":") for text in texts.split())
        return " ".join(f'{kind} {{ name: "{key}" data_type: TYPE_{of} dims: [{dims}] }}' for key, of, dims in given)

    text = f'backend: "python" max_batch_size: {max_batch_size} {tensors("input", inputs)} {tensors("output", outputs)}'
    text += f" model_transaction_policy {{ decoupled: {str(decoupled).lower()} }}"
    return Signature.from_config(parse_pbtxt(text, model_name=name, path="p"))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("x:FP32:-1", "y:FP32:-1", []),
        (
            "q:FP32:-1",
            "y:FP32:-1",
            [
                "in ensemble E, ensemble tensor I is mapping to non-existing input x in model m",
                "in ensemble E, input q in model m is not mapped to any ensemble tensors",
            ],
        ),
        (
            "x:FP32:-1",
            "q:FP32:-1",
            ["in ensemble E, ensemble tensor O is mapped from non-existing output y in model m"],
        ),
        (
            "x:INT32:-1",
            "y:FP32:-1",
            [
                "in ensemble E, ensemble tensor I: inconsistent data type: TYPE_FP32 is inferred from model E while "
                "TYPE_INT32 is inferred from model m"
            ],
        ),
        (
            "x:FP32:-1",
            "y:FP32:2,2",
            [
                "in ensemble E, ensemble tensor O: inconsistent shape: [3] is inferred from model E while [2,2] is "
                "inferred from model m"
            ],
        ),
    ],
)
def test_members_fit(first: str, second: str, expected: list[str]) -> None:
    graph = EnsembleGraph.compile(
        EnsembleScheduling(steps=(EnsembleStep(model_name="m", input_map={"x": "I"}, output_map={"y": "O"}),))
    )
    ensemble = signature("E", "I:FP32:3", "O:FP32:3")
    assert member_problems(ensemble, graph, {0: signature("m", first, second)}) == expected


@pytest.mark.parametrize(("dims", "size", "fits"), [("3", 4, True), ("-1,3", 0, True), ("3", 0, True), ("4", 4, False)])
def test_a_batch_dimension_may_be_spelt_out(dims: str, size: int, fits: bool) -> None:
    graph = EnsembleGraph.compile(
        EnsembleScheduling(steps=(EnsembleStep(model_name="m", input_map={"x": "I"}, output_map={"y": "O"}),))
    )
    ensemble = signature("E", "I:FP32:3", "O:FP32:3", max_batch_size=4)
    member = signature("m", f"x:FP32:{dims}", f"y:FP32:{dims}", max_batch_size=size)
    assert (member_problems(ensemble, graph, {0: member}) == []) is fits


@pytest.mark.parametrize(
    ("size", "shapes"), [(0, ("[3]", "[4]")), (1, ("[-1,3]", "[-1,4]")), (4, ("[-1,3]", "[-1,4]"))]
)
def test_shapes_are_told_with_their_batch_dimension(size: int, shapes: tuple[str, str]) -> None:
    graph = EnsembleGraph.compile(
        EnsembleScheduling(steps=(EnsembleStep(model_name="m", input_map={"x": "I"}, output_map={"y": "O"}),))
    )
    ensemble = signature("E", "I:FP32:3", "O:FP32:3", max_batch_size=size)
    member = signature("m", "x:FP32:4", "y:FP32:3", max_batch_size=size)
    assert member_problems(ensemble, graph, {0: member}) == [
        f"in ensemble E, ensemble tensor I: inconsistent shape: {shapes[0]} is inferred from model E while "
        f"{shapes[1]} is inferred from model m"
    ]


@pytest.mark.parametrize(("ensemble_size", "size", "fits"), [(3, 0, True), (3, 3, True), (3, 2, False), (0, 2, True)])
def test_a_member_takes_batches_as_large_as_the_ensembles(ensemble_size: int, size: int, fits: bool) -> None:
    graph = EnsembleGraph.compile(
        EnsembleScheduling(steps=(EnsembleStep(model_name="m", input_map={"x": "I"}, output_map={"y": "O"}),))
    )
    ensemble = signature("E", "I:FP32:-1", "O:FP32:-1", max_batch_size=ensemble_size)
    expected = [
        "ensemble E allows maximum batch size 3, but it contains model m which only allows maximum batch size to be 2"
    ]
    member = signature("m", "x:FP32:-1", "y:FP32:-1", max_batch_size=size)
    assert member_problems(ensemble, graph, {0: member}) == ([] if fits else expected)


PLAIN = signature("P", "x:FP32:-1", "y:FP32:-1")
JOIN = signature("S", "x:FP32:-1 x2:FP32:-1", "y:FP32:-1")
DECOUPLED = signature("D", "x:FP32:-1", "y:FP32:-1", decoupled=True)


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ([(DECOUPLED, "I", "a"), (PLAIN, "a", "O")], ""),
        ([(DECOUPLED, "I", "a"), (PLAIN, "a", "b"), (JOIN, "a b", "O")], ""),
        ([(DECOUPLED, "I", "a"), (DECOUPLED, "I", "b"), (JOIN, "a b", "O")], "E"),
        ([(DECOUPLED, "I", "a"), (JOIN, "a I", "O")], "E"),
        ([(DECOUPLED, "I", "a"), (DECOUPLED, "a", "b"), (JOIN, "b a", "O")], "E"),
        ([(DECOUPLED, "I", "a"), (PLAIN, "I", "b"), (JOIN, "a b", "c"), (PLAIN, "c", "O")], "S"),
        ([(JOIN, "a b", "O"), (DECOUPLED, "I", "a"), (DECOUPLED, "I", "b")], "E"),
    ],
)
def test_what_meets_comes_from_the_same_responses(steps: list[tuple[Signature, str, str]], refused: str) -> None:
    ensemble = signature("E", "I:FP32:-1", "O:FP32:-1")
    graph = EnsembleGraph.compile(
        EnsembleScheduling(
            steps=tuple(
                EnsembleStep(
                    model_name=member.model_name,
                    input_map=dict(zip(member.inputs, sources.split())),
                    output_map={"y": target},
                )
                for member, sources, target in steps
            )
        )
    )
    text = f"in ensemble E, step of model '{refused}' receives inputs originated from different decoupled models"
    members = {index: member for index, (member, _, _) in enumerate(steps)}
    assert member_problems(ensemble, graph, members) == ([text] if refused else [])


def test_outputs_come_from_the_same_responses() -> None:
    ensemble = signature("E", "I:FP32:-1", "O:FP32:-1 O2:FP32:-1")
    steps = [EnsembleStep(model_name="D", input_map={"x": "I"}, output_map={"y": name}) for name in ("O", "O2")]
    graph = EnsembleGraph.compile(EnsembleScheduling(steps=tuple(steps)))
    assert member_problems(ensemble, graph, {0: DECOUPLED, 1: DECOUPLED}) == [
        "in ensemble E, step of model 'E' receives inputs originated from different decoupled models"
    ]
