"""Records the answers of a real Triton, or compares another server's with them (`python -m tests.golden.record`)."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from tests.golden.backend import SCENARIOS as BACKEND
from tests.golden.backend.differences import DIFFERENCES as BACKEND_DIFFERENCES
from tests.golden.backend.differences import UNSTEADY, WAITING
from tests.golden.case import ALONE, AnyCase, Case, Rpc, Scenario
from tests.golden.cases import CHAPTERS
from tests.golden.cases import SCENARIOS as HTTP
from tests.golden.differences import DIFFERENCES, Difference
from tests.golden.play import Answers, play
from tests.golden.repository import lay_out

Recording = dict[str, Answers]

#: How long a busy machine may take for an answer that never comes from a Triton.
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Suite:
    """Scenarios, the file with what Triton answered, and where we mean to answer otherwise."""

    scenarios: tuple[Scenario, ...]
    file: Path
    differences: Mapping[str, Difference]
    #: Cases for which something is missing here, with its name.
    waiting: Mapping[str, str] = field(default_factory=dict)
    #: Cases to which Triton does not always answer the same, with what it depends on.
    unsteady: Mapping[str, str] = field(default_factory=dict)

    def recorded(self) -> Recording:
        """What the real Triton answered, by scenario and case."""
        return cast(Recording, json.loads(self.file.read_text()))

    def expected(self) -> Recording:
        """What we are to answer: the same, but for the differences that are meant."""
        return {
            scenario: {
                name: self.differences[name].expected(answers) if name in self.differences else answers
                for name, answers in cases.items()
            }
            for scenario, cases in self.recorded().items()
        }

    def write(self, observed: Recording) -> None:
        """Replaces the recordings of the scenarios that were played."""
        known = {scenario.name for scenario in self.scenarios}
        kept = self.recorded() if self.file.exists() else {}
        merged = {name: answers for name, answers in {**kept, **observed}.items() if name in known}
        self.file.write_text(json.dumps(merged, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


_HERE = Path(__file__).parent

SUITES: Mapping[str, Suite] = {
    "http": Suite(HTTP, _HERE / "http_triton_2_51.json", DIFFERENCES),
    "backend": Suite(BACKEND, _HERE / "backend_triton_2_51.json", BACKEND_DIFFERENCES, WAITING, UNSTEADY),
}


def by_chapter(suite: Suite, scenarios: Iterable[str] = ()) -> Counter[str]:
    """How many cases there are for each chapter, in these scenarios or in all."""
    chosen, chapters = set(scenarios), {case.name: chapter for chapter, cases in CHAPTERS.items() for case in cases}
    return Counter(
        scenario.section or chapters[case.name]
        for scenario in suite.scenarios
        if not chosen or scenario.name in chosen
        for case in scenario.cases
    )


def counted(suite: Suite, scenarios: Iterable[str] = ()) -> str:
    """The same as lines."""
    counts = sorted(by_chapter(suite, scenarios).items(), key=lambda item: [*map(int, re.findall(r"\d+", item[0]))])
    return "".join(f"  {chapter}: {count} cases\n" for chapter, count in counts)


def observe_together(scenarios: Iterable[Scenario], template: str, *, keep_log: Path | None = None) -> Recording:
    """As `observe`, with few servers, of which nothing hangs: one for all scenarios that may be asked of one."""
    groups: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        groups.setdefault(scenario.together or scenario.name, []).append(scenario)
    observed: Recording = {}
    for members in groups.values():
        texts = {name: files for scenario in members for name, files in scenario.texts.items()}
        cases = tuple(_patient(case) if scenario.together else case for scenario in members for case in scenario.cases)
        answers = observe_one(replace(members[0], texts=texts, cases=cases), template, keep_log=keep_log)
        for scenario in members:
            observed[scenario.name] = {case.name: answers[case.name] for case in scenario.cases}
    return observed


def _patient(case: AnyCase) -> AnyCase:
    return replace(case, timeout_s=max(case.timeout_s, PATIENCE_S)) if isinstance(case, Case | Rpc) else case


def observe(
    scenarios: Iterable[Scenario], template: str, *, keep_log: Path | None = None, restarts: int = 0
) -> Recording:
    """Plays scenarios against the server that the template starts, and starts again where it ends unexpectedly."""
    return {
        each.name: observe_one(each, template, keep_log=keep_log, restarts=0 if each.together == ALONE else restarts)
        for each in scenarios
    }


def observe_one(scenario: Scenario, template: str, *, keep_log: Path | None = None, restarts: int = 0) -> Answers:
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        repository = lay_out(Path(scratch) / "repository", scenario.models, scenario.texts)
        log = Path(scratch) / "server.log"
        try:
            return play(scenario, template, repository=repository, log=log, restarts=restarts)
        finally:
            if keep_log is not None and log.exists():
                shutil.copy(log, keep_log)


def mismatches(wanted: Recording, observed: Recording) -> list[str]:
    """One readable paragraph for each case that differs, by name."""
    return [
        f"{scenario}/{name}\n  wanted: {_shown(answers)}\n  here:   {_shown(observed[scenario].get(name))}"
        for scenario, cases in wanted.items()
        if scenario in observed
        for name, answers in cases.items()
        if observed[scenario].get(name) != answers
    ]


def _shown(answers: object) -> str:
    return json.dumps(answers, ensure_ascii=False, sort_keys=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template", nargs="?", help="command with the fields {repository} {http} {grpc} {metrics}")
    parser.add_argument("--count", action="store_true", help="only say how many cases there are for what")
    parser.add_argument("--write", action="store_true", help="write the answers instead of comparing with them")
    parser.add_argument("--log", type=Path, help="keep the server's log here")
    parser.add_argument("--triton", action="store_true", help="compare as with a Triton: no difference is meant")
    parser.add_argument("--restarts", type=int, default=0, help="start a server that ended so many times again")
    parser.add_argument("--suite", choices=SUITES, action="append", help="all of them unless some are named")
    parser.add_argument("--scenario", action="append", help="all of them unless some are named")
    options = parser.parse_args(arguments)
    if options.count:
        sys.stdout.write("".join(f"{name}\n{counted(suite)}" for name, suite in SUITES.items()))
        return 0
    if options.template is None:
        parser.error("which server?")
    found: list[str] = []
    for suite in map(SUITES.__getitem__, options.suite or SUITES):
        chosen = [each for each in suite.scenarios if not options.scenario or each.name in options.scenario]
        observed = observe(chosen, options.template, keep_log=options.log, restarts=options.restarts)
        if options.write:
            suite.write(observed)
        else:
            found += mismatches(suite.recorded() if options.triton else suite.expected(), observed)
    if options.write:
        return 0
    sys.stdout.write("\n".join([*found, f"{len(found)} differ\n"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
