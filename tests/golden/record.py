"""Records the answers of a real Triton, or compares another server's with them (`python -m tests.golden.record`)."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import cast

from tests.golden.cases import SCENARIOS
from tests.golden.differences import DIFFERENCES
from tests.golden.play import Answers, play
from tests.golden.repository import lay_out

GOLDEN = Path(__file__).parent / "http_triton_2_51.json"

Recording = dict[str, Answers]


def recorded() -> Recording:
    """What the real Triton answered, by scenario and case."""
    return cast(Recording, json.loads(GOLDEN.read_text()))


def expected() -> Recording:
    """What we are to answer: the same, but for the differences that are meant."""
    return {
        scenario: {
            name: DIFFERENCES[name].expected(answers) if name in DIFFERENCES else answers
            for name, answers in cases.items()
        }
        for scenario, cases in recorded().items()
    }


def observe(template: str, *, keep_log: Path | None = None, only: str = "") -> Recording:
    """Plays every scenario, or `only` the one of that name, against the server that the template starts."""
    observed: Recording = {}
    for scenario in SCENARIOS:
        if only not in ("", scenario.name):
            continue
        with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
            repository = lay_out(Path(scratch) / "repository", scenario.models)
            log = Path(scratch) / "server.log"
            observed[scenario.name] = play(scenario, template, repository=repository, log=log)
            if keep_log is not None:
                shutil.copy(log, keep_log)
    return observed


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
    parser.add_argument("template", help="command with the fields {repository} {http} {grpc} {metrics}")
    parser.add_argument("--write", action="store_true", help=f"write {GOLDEN.name} instead of comparing with it")
    parser.add_argument("--log", type=Path, help="keep the server's log here")
    parser.add_argument("--triton", action="store_true", help="compare as with a Triton: no difference is meant")
    parser.add_argument("--only", default="", metavar="SCENARIO", help="play this one and leave the others as they are")
    options = parser.parse_args(arguments)
    observed = observe(options.template, keep_log=options.log, only=options.only)
    if options.write:
        GOLDEN.write_text(json.dumps({**recorded(), **observed}, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        return 0
    found = mismatches(recorded() if options.triton else expected(), observed)
    sys.stdout.write("\n".join([*found, f"{len(found)} differ\n"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
