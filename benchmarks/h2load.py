"""Load over gRPC by nghttp2's h2load: a call's one message in a file, and how long calls with it took."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_pyserve.model.messages import service_messages

_SERVICE = "/inference.GRPCInferenceService/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls that were made, and how long each took."""

    durations_us: list[int]
    elapsed_s: float

    @property
    def per_second(self) -> float:
        return len(self.durations_us) / self.elapsed_s

    @property
    def p50_us(self) -> float:
        return sorted(self.durations_us)[len(self.durations_us) // 2]


def floats(model: str, count: int) -> Any:
    """A request with that many ones."""
    request = service_messages().ModelInferRequest(model_name=model)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[count])
    request.raw_input_contents.append(struct.pack("<f", 1.0) * count)
    return request


def times(model: str, count: int) -> Any:
    """A request for that many responses."""
    request = service_messages().ModelInferRequest(model_name=model)
    request.inputs.add(name="COUNT", datatype="INT32", shape=[1])
    request.raw_input_contents.append(struct.pack("<i", count))
    return request


def h2load(
    port: int, method: str, request: Any, *, scratch: Path, connections: int, streams: int, seconds: float
) -> Calls:
    """Raises if any call failed as HTTP sees it; whether the answers are right has to be seen before."""
    message = request.SerializeToString()
    body, log = scratch / "call.bin", scratch / "calls.log"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    log.unlink(missing_ok=True)
    command = [
        "h2load",
        *("--threads=1", f"--clients={connections}", f"--max-concurrent-streams={streams}"),
        *(f"--duration={max(1, round(seconds))}s", "--warm-up-time=1s"),
        *(f"--data={body}", f"--log-file={log}"),
        *("-H", "content-type: application/grpc", "-H", "te: trailers"),
        f"http://127.0.0.1:{port}{_SERVICE}{method}",
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # A call that began while it warmed up has the status 0.
    rows = [line.split("\t") for line in log.read_text().splitlines() if line.split("\t")[1] != "0"]
    if not rows or any(status != "200" for _, status, _ in rows) or " 0 failed, 0 errored, 0 timeout" not in output:
        raise RuntimeError(f"h2load saw failing calls:\n{output}")
    return Calls(durations_us=[int(duration) for *_, duration in rows], elapsed_s=max(1, round(seconds)))
