"""The command: chooses the cases, runs them against both servers round by round, and reports."""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

from benchmarks import machine, report, triton
from benchmarks.cases import Bench, Case
from benchmarks.cases.batching import batching
from benchmarks.cases.bls import bls
from benchmarks.cases.cache import cache
from benchmarks.cases.deploy import deploy
from benchmarks.cases.ensemble import ensemble
from benchmarks.cases.grpc import grpc
from benchmarks.cases.http import large, small, strings
from benchmarks.cases.idle import idle
from benchmarks.cases.lane import lane
from benchmarks.cases.scrape import scrape
from benchmarks.cases.stream import stream
from benchmarks.metrics import Samples
from benchmarks.servers import Pyserve, Server, Triton

CASES: dict[str, Case] = {
    "small": small,
    "large": large,
    "strings": strings,
    "grpc": grpc,
    "lane": lane,
    "batching": batching,
    "ensemble": ensemble,
    "bls": bls,
    "cache": cache,
    "stream": stream,
    "scrape": scrape,
    "deploy": deploy,
    "idle": idle,
}

MODELS = Path(__file__).parent / "models"
DEFAULT_VENV = Path(__file__).parents[1] / "build" / "triton"


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    samples = Samples()
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pyserve-bench-") as scratch:
        bench = _bench(options, Path(scratch))
        for name in options.cases or CASES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                for server, sample in CASES[name](bench):
                    samples.add(server, sample)
            except Exception:  # noqa: BLE001 - one case that fails must not cost the others' figures
                failed.append(name)
                traceback.print_exc()
                _show_logs(Path(scratch))
    command = shlex.join(["python", "-m", "benchmarks", *arguments])
    print(report.table(samples.rows()))
    if options.json is not None:
        options.json.write_text(report.as_json(samples, machine.describe(), command) + "\n")
    if options.record:
        report.append(
            samples, machine.describe(), command, datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        )
    print("".join(f"{name} failed\n" for name in failed), end="", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is given")
    parser.add_argument(
        "--triton",
        type=Path,
        default=Path(os.environ.get("PYSERVE_BENCH_TRITON", DEFAULT_VENV)),
        metavar="VENV",
        help=f"virtual environment with {triton.REQUIREMENT}, made if it does not exist (or PYSERVE_BENCH_TRITON)",
    )
    parser.add_argument("--alone", action="store_true", help="without a Triton beside it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples here")
    parser.add_argument("--record", action="store_true", help=f"append the figures to {report.RESULTS.name}")
    return parser


def _bench(options: argparse.Namespace, scratch: Path) -> Bench:
    ours = Pyserve(log=scratch / "pyserve.log")
    servers: list[Server] = [ours]
    if not options.alone:
        if not options.triton.exists():
            triton.create(options.triton)
        servers.insert(0, Triton(triton.locate(options.triton, scratch), log=scratch / "triton.log"))
    return Bench(
        servers=servers, ours=ours, models=MODELS, scratch=scratch, rounds=options.rounds, seconds=options.seconds
    )


def _show_logs(scratch: Path) -> None:
    for log in sorted(scratch.glob("*.log")):
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
