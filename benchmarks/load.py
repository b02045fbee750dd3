"""Load over HTTP by wrk: a binary inference request in a file, and what wrk says about posting it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    requests: int
    duration_s: float
    p50_us: float
    p99_us: float

    @property
    def per_second(self) -> float:
        return self.requests / self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request in the binary extension's form: the JSON part, then the elements."""

    path: Path
    header_nbytes: int
    elements: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Inference-Header-Content-Length": str(self.header_nbytes)}


def write_body(path: Path, elements: int, *, batched: bool = False) -> Body:
    """One FP32 input of that many ones, all outputs wanted in binary; `batched` is a batch of one."""
    return _write(path, "FP32", elements, struct.pack("<f", 1.0) * elements, batched=batched)


def write_strings(path: Path, elements: int, nbytes: int) -> Body:
    """One BYTES input of that many different elements of `nbytes` each, all outputs wanted in binary."""
    texts = [str(index).encode().rjust(nbytes, b".") for index in range(elements)]
    return _write(path, "BYTES", elements, b"".join(struct.pack("<I", len(text)) + text for text in texts))


def _write(path: Path, datatype: str, elements: int, data: bytes, *, batched: bool = False) -> Body:
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "INPUT0",
                    "datatype": datatype,
                    "shape": [1, elements] if batched else [elements],
                    "parameters": {"binary_data_size": len(data)},
                }
            ],
            "parameters": {"binary_data_output": True},
        },
        separators=(",", ":"),
    ).encode()
    path.write_bytes(header + data)
    return Body(path=path, header_nbytes=len(header), elements=elements)


def wrk(port: int, path: str, body: Body, *, connections: int, duration_s: float) -> Outcome:
    """Raises if any request failed: a fast error is no result."""
    command = [
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--duration={max(1, round(duration_s))}s",
        "--timeout=60s",
        f"--script={SCRIPT}",
        f"http://127.0.0.1:{port}{path}",
    ]
    environment = {**os.environ, "WRK_BODY": str(body.path), "WRK_HEADER_LENGTH": str(body.header_nbytes)}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
    result = json.loads(line.removeprefix("RESULT "))
    if result["errors"] or not result["requests"]:
        raise RuntimeError(f"wrk saw failing requests:\n{output}")
    return Outcome(
        requests=result["requests"],
        duration_s=result["duration_us"] / 1e6,
        p50_us=result["p50_us"],
        p99_us=result["p99_us"],
    )
