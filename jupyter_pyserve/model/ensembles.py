"""The data flow of an ensemble: which steps can run with the tensors that are there, and which answers are complete.

Owns the order of things for one request. Values are opaque, so it must not know tensors, memory or member models.

A member that answers several times starts an iteration with each answer: what depends on it runs once in each, and sees
besides everything that does not depend on it. Two such members are paired answer by answer.

A tensor that will never be there, because the request or a member leaves it out, is known to be missing: whatever reads
it goes on without it, and it is for that member to say whether it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jupyter_pyserve.model.scheduling import EnsembleScheduling

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A member with its tensors' names: `inputs` from its own to the ensemble's, `outputs` likewise."""

    index: int
    namespace: str
    model: str
    version: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The way to some outputs: the steps without which they would not be made, the tensors that those read and none
    makes, and the tensors that several read."""

    steps: tuple[Step, ...]
    given: frozenset[str]
    shared: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleGraph:
    """The steps of an ensemble and who makes each tensor."""

    steps: tuple[Step, ...]
    producers: Mapping[str, Step] = field(repr=False)
    _courses: dict[tuple[str, ...], Course] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def compile(cls, scheduling: EnsembleScheduling) -> EnsembleGraph:
        """From a validated configuration."""
        steps = tuple(
            Step(
                index=index,
                namespace=step.model_namespace,
                model=step.model_name,
                version="" if step.model_version == -1 else str(step.model_version),
                inputs=dict(step.input_map),
                outputs=dict(step.output_map),
            )
            for index, step in enumerate(scheduling.steps)
        )
        return cls(steps=steps, producers={tensor: step for step in steps for tensor in step.outputs.values()})

    def course(self, outputs: tuple[str, ...]) -> Course:
        """What it takes to make these tensors; remembered, since requests ask for the same ones again and again."""
        course = self._courses.get(outputs)
        if course is None:
            needed = self.needed(outputs)
            steps = tuple(step for step in self.steps if step.index in needed)
            read = frozenset(tensor for step in steps for tensor in step.inputs.values())
            produced = frozenset(tensor for step in steps for tensor in step.outputs.values())
            uses = Counter([*outputs, *(tensor for step in self.steps for tensor in step.inputs.values())])
            course = self._courses[outputs] = Course(
                steps=steps,
                given=read - produced,
                shared=frozenset(name for name, count in uses.items() if count > 1),
            )
        return course

    def needed(self, outputs: Iterable[str]) -> frozenset[int]:
        """The steps without which these tensors would not be made."""
        found: set[int] = set()
        wanted = list(outputs)
        while wanted:
            step = self.producers.get(wanted.pop())
            if step is not None and step.index not in found:
                found.add(step.index)
                wanted += step.inputs.values()
        return frozenset(found)


class Scope(Generic[T]):
    """The tensors of one iteration; `parent` has what does not depend on it."""

    __slots__ = ("answered", "children", "number", "parent", "running", "runs", "started", "values")

    def __init__(self, parent: Scope[T] | None = None, number: int = 0) -> None:
        self.parent = parent
        self.number = number
        #: None for tensors that will never be there.
        self.values: dict[str, T | None] = {}
        self.children: dict[int, Scope[T]] = {}
        self.started: set[int] = set()
        #: Runs that are not over, here and in the iterations that see this scope.
        self.running = 0
        #: Those of them that are here.
        self.runs: list[Run[T]] = []
        self.answered = False

    def chain(self) -> Iterator[Scope[T]]:
        """This scope and all that it sees."""
        scope: Scope[T] | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def find(self, tensor: str) -> T | None:
        """The tensor as this iteration sees it."""
        scope: Scope[T] | None = self
        while scope is not None:
            if tensor in scope.values:
                return scope.values[tensor]
            scope = scope.parent
        return None

    def knows(self, tensor: str) -> bool:
        """Whether it is settled what the tensor is, or that there is none."""
        return any(tensor in scope.values for scope in self.chain())

    def has_all(self, tensors: Iterable[str]) -> bool:
        """Whether all are settled here."""
        values = self.values
        for tensor in tensors:  # noqa: SIM110 - half of the time of `all`
            if tensor not in values:
                return False
        return True

    def has_started(self, step: int) -> bool:
        """Whether a step runs, or ran, in this iteration or for all of them."""
        scope: Scope[T] | None = self
        while scope is not None:
            if step in scope.started:
                return True
            scope = scope.parent
        return False

    def iteration(self, number: int) -> Scope[T]:
        """The scope of the answers of that number."""
        child = self.children.get(number)
        if child is None:
            child = self.children[number] = Scope(self, number)
        return child

    def forget_if_over(self) -> None:
        """Let go of an iteration in which nothing can happen any more: streams may be long."""
        if self.parent is None or self.running:
            return
        inner: Scope[T] = self
        for scope in self.parent.chain():
            if any(not run.streaming or run.answers <= inner.number for run in scope.runs):
                return
            inner = scope
        self.parent.children.pop(self.number, None)


@dataclass(slots=True)
class Run(Generic[T]):
    """A step that is to be carried out with these inputs; it answers once or several times."""

    step: Step
    scope: Scope[T]
    inputs: dict[str, T]
    streaming: bool
    answers: int = 0


@dataclass(slots=True)
class Progress(Generic[T]):
    """What an event made possible: runs to start, complete answers, and whether nothing more will come."""

    runs: list[Run[T]] = field(default_factory=list)
    answers: list[dict[str, T]] = field(default_factory=list)
    done: bool = False


class Flow(Generic[T]):
    """One request on its way through an ensemble. Feed it with `start` once, then with every answer of every run."""

    def __init__(
        self, graph: EnsembleGraph, given: Mapping[str, T], outputs: Sequence[str], streaming: frozenset[int]
    ) -> None:
        self._outputs = tuple(outputs)
        #: Steps whose members may answer any number of times.
        self._streaming = streaming
        course = graph.course(self._outputs)
        self._steps = course.steps
        self._root: Scope[T] = Scope()
        self._root.values.update(dict.fromkeys(course.given))
        self._root.values.update(given)

    def start(self) -> Progress[T]:
        """The steps that need nothing but what was given."""
        return self._advance(self._root)

    def answer(self, run: Run[T], values: Mapping[str, T] | None, *, final: bool) -> Progress[T]:
        """A run has answered with `values`, by the member's names; `final` if it will not answer again.

        None is no answer: a stream has ended.
        """
        scope = run.scope
        if values is not None:
            if run.streaming:
                scope = scope.iteration(run.answers)
                run.answers += 1
            for name, tensor in run.step.outputs.items():
                scope.values[tensor] = values.get(name)
        if final:
            self._end(run)
        progress = self._advance(scope)
        if scope.parent is not None or scope.children or run.scope is not scope:
            scope.forget_if_over()
            for child in list(run.scope.children.values()) if final else ():
                child.forget_if_over()
        return progress

    def close(self) -> None:
        """Let go of every tensor, whatever still runs."""
        open_scopes = [self._root]
        while open_scopes:
            scope = open_scopes.pop()
            open_scopes += scope.children.values()
            scope.values.clear()
            scope.runs.clear()
            scope.children.clear()

    def _end(self, run: Run[T]) -> None:
        scope: Scope[T] | None = run.scope
        run.scope.runs.remove(run)
        while scope is not None:
            scope.running -= 1
            scope = scope.parent

    def _advance(self, scope: Scope[T]) -> Progress[T]:
        progress: Progress[T] = Progress()
        self._visit(scope, progress)
        progress.done = self._root.running == 0
        return progress

    def _visit(self, scope: Scope[T], progress: Progress[T]) -> None:
        """Start and complete what can be, here and in the iterations that see this scope."""
        started = scope.started
        for step in self._steps:
            if step.index not in started and self._can_start(step, scope):
                progress.runs.append(self._begin(step, scope))
        answer = self._answer(scope)
        if answer is not None:
            scope.answered = True
            progress.answers.append(answer)
        if scope.children:
            for child in list(scope.children.values()):
                self._visit(child, progress)

    def _begin(self, step: Step, scope: Scope[T]) -> Run[T]:
        index = step.index
        scope.started.add(index)
        find = scope.values.get if scope.parent is None else scope.find
        inputs = {name: value for name, tensor in step.inputs.items() if (value := find(tensor)) is not None}
        run = Run(step, scope, inputs, index in self._streaming)
        scope.runs.append(run)
        seen: Scope[T] | None = scope
        while seen is not None:
            seen.running += 1
            seen = seen.parent
        return run

    def _can_start(self, step: Step, scope: Scope[T]) -> bool:
        if scope.parent is None:  # as a rule
            return scope.has_all(step.inputs.values())
        if scope.has_started(step.index) or not all(scope.knows(tensor) for tensor in step.inputs.values()):
            return False
        # Else it is for the scope above to start it, once for all iterations.
        return any(tensor in scope.values for tensor in step.inputs.values())

    def _answer(self, scope: Scope[T]) -> dict[str, T] | None:
        outputs = self._outputs
        if scope.answered:
            return None
        if scope.parent is None:  # as a rule
            if not outputs or not scope.has_all(outputs):
                return None
        elif not all(map(scope.knows, outputs)) or not any(tensor in scope.values for tensor in outputs):
            return None
        return {tensor: value for tensor in outputs if (value := scope.find(tensor)) is not None}
