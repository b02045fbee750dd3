"""The order of steps, with numbers for tensors: members are played by the tests."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.ensembles import EnsembleGraph, Flow, Progress, Run
from jupyter_pyserve.model.scheduling import EnsembleScheduling, EnsembleStep

IN, MID, OUT, OTHER = "IN", "MID", "OUT", "OTHER"


def graph(*steps: tuple[dict[str, str], dict[str, str]]) -> EnsembleGraph:
    return EnsembleGraph.compile(
        EnsembleScheduling(
            steps=tuple(
                EnsembleStep(model_name=f"m{index}", input_map=inputs, output_map=outputs)
                for index, (inputs, outputs) in enumerate(steps)
            )
        )
    )


@pytest.mark.parametrize(("version", "wanted"), [(-1, ""), (0, "0"), (3, "3"), (-7, "-7")])
def test_only_minus_one_is_the_latest_version(version: int, wanted: str) -> None:
    step = EnsembleStep(model_name="m", model_version=version, input_map={"X": IN}, output_map={"Y": OUT})
    (made,) = EnsembleGraph.compile(EnsembleScheduling(steps=(step,))).steps
    assert made.version == wanted


def flow(
    of: EnsembleGraph, *outputs: str, streaming: frozenset[int] = frozenset(), given: dict[str, int] | None = None
) -> Flow[int]:
    return Flow(of, given or {IN: 1}, outputs or (OUT,), streaming)


def models(progress: Progress[int]) -> list[tuple[str, dict[str, int]]]:
    return [(run.step.model, run.inputs) for run in progress.runs]


def only(progress: Progress[int]) -> Run[int]:
    (run,) = progress.runs
    return run


CHAIN = graph(({"X": IN}, {"Y": MID}), ({"X": MID}, {"Y": OUT}))
JOIN = graph(({"X": IN}, {"Y": "A"}), ({"X": IN}, {"Y": "B"}), ({"L": "A", "R": "B"}, {"Y": OUT}))


def test_a_step_runs_when_its_inputs_are_there() -> None:
    made = flow(CHAIN)
    first = made.start()
    assert models(first) == [("m0", {"X": 1})]
    second = made.answer(only(first), {"Y": 2}, final=True)
    assert models(second) == [("m1", {"X": 2})]
    assert (second.answers, second.done) == ([], False)
    last = made.answer(only(second), {"Y": 3}, final=True)
    assert (last.runs, last.answers, last.done) == ([], [{OUT: 3}], True)


def test_steps_that_need_nothing_of_each_other_run_together() -> None:
    made = flow(JOIN)
    one, two = made.start().runs
    assert made.answer(two, {"Y": 20}, final=True).runs == []
    assert models(made.answer(one, {"Y": 10}, final=True)) == [("m2", {"L": 10, "R": 20})]


def test_only_what_the_wanted_outputs_need_runs() -> None:
    assert models(flow(JOIN, "A").start()) == [("m0", {"X": 1})]


def test_an_output_may_be_an_input() -> None:
    progress = flow(CHAIN, IN).start()
    assert (progress.answers, progress.done) == ([{IN: 1}], True)


def test_an_optional_input_that_will_never_be_there_is_left_out() -> None:
    made = graph(({"X": IN, "MAYBE": OTHER}, {"Y": OUT}))
    assert models(flow(made).start()) == [("m0", {"X": 1})]
    assert models(flow(made, given={IN: 1, OTHER: 2}).start()) == [("m0", {"X": 1, "MAYBE": 2})]


def test_what_a_member_leaves_out_is_missing_from_then_on() -> None:
    made = flow(CHAIN)
    second = made.answer(only(made.start()), {}, final=True)
    assert models(second) == [("m1", {})]
    last = made.answer(only(second), {}, final=True)
    assert (last.runs, last.answers, last.done) == ([], [{}], True)


def test_what_is_missing_in_one_answer_of_a_stream_is_there_in_the_next() -> None:
    two = graph(({"X": IN}, {"Y": MID, "Z": OTHER}), ({"L": MID, "R": OTHER}, {"Y": OUT}))
    made = flow(two, streaming=frozenset({0}))
    stream = only(made.start())
    assert models(made.answer(stream, {"Y": 5}, final=False)) == [("m1", {"L": 5})]
    assert models(made.answer(stream, {"Z": 6}, final=False)) == [("m1", {"R": 6})]
    assert models(made.answer(stream, {"Y": 7, "Z": 8}, final=True)) == [("m1", {"L": 7, "R": 8})]


def test_a_stream_that_ends_is_no_answer() -> None:
    made = flow(CHAIN, streaming=frozenset({0}))
    progress = made.answer(only(made.start()), None, final=True)
    assert (progress.runs, progress.answers, progress.done) == ([], [], True)


def test_an_answer_without_what_is_missing_is_complete() -> None:
    made = flow(graph(({"X": IN}, {"Y": OUT, "Z": OTHER})), OUT, OTHER)
    progress = made.answer(only(made.start()), {"Z": 3}, final=True)
    assert (progress.answers, progress.done) == ([{OTHER: 3}], True)


def test_each_answer_of_a_stream_goes_its_own_way() -> None:
    made = flow(CHAIN, streaming=frozenset({0}))
    stream = only(made.start())
    runs = [only(made.answer(stream, {"Y": number}, final=False)) for number in (5, 6)]
    assert [run.inputs for run in runs] == [{"X": 5}, {"X": 6}]
    assert made.answer(runs[1], {"Y": 60}, final=True).answers == [{OUT: 60}]
    assert not made.answer(stream, None, final=True).done
    last = made.answer(runs[0], {"Y": 50}, final=True)
    assert (last.answers, last.done) == ([{OUT: 50}], True)


def test_a_stream_sees_what_does_not_depend_on_it_whenever_it_comes() -> None:
    made = flow(JOIN, streaming=frozenset({0}))
    stream, single = made.start().runs
    assert made.answer(stream, {"Y": 5}, final=False).runs == []
    assert models(made.answer(single, {"Y": 9}, final=True)) == [("m2", {"L": 5, "R": 9})]
    assert models(made.answer(stream, {"Y": 6}, final=True)) == [("m2", {"L": 6, "R": 9})]


def test_two_streams_are_paired() -> None:
    made = flow(JOIN, streaming=frozenset({0, 1}))
    left, right = made.start().runs
    made.answer(left, {"Y": 1}, final=False)
    made.answer(left, {"Y": 2}, final=True)
    assert models(made.answer(right, {"Y": 10}, final=False)) == [("m2", {"L": 1, "R": 10})]
    assert models(made.answer(right, {"Y": 20}, final=True)) == [("m2", {"L": 2, "R": 20})]


def test_a_stream_behind_a_stream() -> None:
    made = flow(CHAIN, streaming=frozenset({0, 1}))
    outer = only(made.start())
    inner = [only(made.answer(outer, {"Y": number}, final=final)) for number, final in ((1, False), (2, True))]
    answers = [
        made.answer(run, {"Y": 10 * run.inputs["X"] + index}, final=bool(index)).answers
        for run in inner
        for index in (0, 1)
    ]
    assert answers == [[{OUT: 10}], [{OUT: 11}], [{OUT: 20}], [{OUT: 21}]]


@pytest.mark.parametrize("count", [1, 100])
def test_what_is_over_is_forgotten(count: int) -> None:
    made = flow(CHAIN, streaming=frozenset({0}))
    stream = only(made.start())
    for number in range(count):
        made.answer(only(made.answer(stream, {"Y": number}, final=False)), {"Y": number}, final=True)
    assert len(stream.scope.children) == 0
