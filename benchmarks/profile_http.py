"""Profiles the engine under load: `python -m benchmarks.profile_http`. cProfile runs around the engine, not in it."""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
from pathlib import Path

from benchmarks.load import write_body, wrk
from benchmarks.run import MODELS
from benchmarks.servers import Pyserve


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_http", description=__doc__)
    parser.add_argument("--model", default="add_one", choices=["add_one", "identity", "batched_add_one"])
    parser.add_argument("--elements", type=int, default=1, help="FP32 elements of the tensor")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--sort", default="tottime", help="as pstats knows it: tottime, cumulative, ncalls ...")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--output", type=Path, metavar="FILE", help="keep the profile, for snakeviz and the like")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="pyserve-profile-") as scratch:
        profile = options.output or Path(scratch) / "engine.prof"
        body = write_body(Path(scratch) / "body.bin", options.elements, batched=options.model.startswith("batched"))
        ours = Pyserve(
            log=Path(scratch) / "pyserve.log", python=(sys.executable, "-m", "cProfile", "-o", str(profile.absolute()))
        )
        with ours.start(MODELS) as server:
            outcome = wrk(
                server.port,
                f"/v2/models/{options.model}/infer",
                body,
                connections=options.connections,
                duration_s=options.seconds,
            )
        print(f"{outcome.per_second:,.0f} requests/s and p50 {outcome.p50_us:,.0f} µs, while profiled")
        pstats.Stats(str(profile)).strip_dirs().sort_stats(options.sort).print_stats(options.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
