"""Asks a real Triton and this server the same, and says where they differ (`python -m tests.differential`).

Triton lives in a virtual environment of its own, which is made when it is missing; this project never depends on it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.triton import create, locate
from tests.golden.record import SUITES, Recording, Suite, counted, mismatches, observe, observe_together
from tests.support.engine import SERVE

VENV = Path("build/triton")
#: Some of what models may do ends Triton; it is started again for the next case.
RESTARTS = 100


def triton_template(venv: Path, scratch: Path) -> str:
    """How Triton is started, with the fields of `tests.golden.server.running`."""
    if not (venv / "bin" / "python").exists():
        sys.stdout.write(f"Installing Triton into {venv}; it is about 250 MB.\n")
        create(venv)
    triton = locate(venv.absolute(), scratch)
    # No variable of ours: its models must not find this project's pb_utils.
    variables = [f"{name}={value}" for name, value in triton.environment.items()]
    words = [
        "env",
        "-i",
        f"HOME={Path.home()}",
        *variables,
        str(triton.binary),
        f"--backend-directory={triton.backends}",
        f"--cache-directory={triton.caches}",
    ]
    return (
        f"{shlex.join(words)} --model-repository={{repository}} --http-port={{http}} --grpc-port={{grpc}}"
        " --metrics-port={metrics}"
    )


def compare(suite: Suite, triton: Recording, here: Recording) -> tuple[list[str], Counter[str]]:
    """What is wrong, and how many cases are what."""
    other = mismatches(suite.recorded(), triton)
    wrong = [f"TRITON IS NOT AS RECORDED {text}" for text in other if _case_of(text) not in suite.unsteady]
    wrong += [f"HERE {text}" for text in mismatches(suite.expected(), here) if _case_of(text) not in suite.waiting]
    counts = Counter(
        "waiting" if name in suite.waiting else "other on purpose" if name in suite.differences else "the same"
        for scenario in triton
        for name in triton[scenario]
    )
    counts.update(f"unsteady: {name}, {why}" for name, why in suite.unsteady.items() if name in map(_case_of, other))
    return wrong, counts


def _case_of(text: str) -> str:
    return text.partition("\n")[0].partition("/")[2]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--triton", type=Path, default=VENV, metavar="VENV", help="where Triton is, or is to be")
    parser.add_argument("--record", action="store_true", help="keep Triton's answers as the golden ones")
    parser.add_argument("--suite", choices=SUITES, action="append", help="all of them unless some are named")
    parser.add_argument("--scenario", action="append", help="all of them unless some are named")
    options = parser.parse_args(arguments)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="triton-") as scratch:
        template = triton_template(options.triton, Path(scratch))
        for name in options.suite or SUITES:
            suite = SUITES[name]
            chosen = [each for each in suite.scenarios if not options.scenario or each.name in options.scenario]
            triton = observe(chosen, template, restarts=RESTARTS)
            if options.record:
                suite.write(triton)
            found, counts = compare(suite, triton, observe_together(chosen, SERVE))
            wrong += found
            sys.stdout.write(f"{name}: {dict(counts)}\n{counted(suite, triton)}")
    sys.stdout.write("\n".join([*wrong, f"{len(wrong)} wrong\n"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
