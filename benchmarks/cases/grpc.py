"""Calls over gRPC: latency and throughput of small requests, and responses of a decoupled model on one stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from benchmarks.cases import Bench
from benchmarks.cases.http import both
from benchmarks.h2load import Calls, floats, h2load, times
from benchmarks.metrics import Better, Metric, Sample
from benchmarks.servers import Running

_ELEMENTS = 16
_COUNT = 1_000

LATENCY = Metric(name=f"gRPC FP32[{_ELEMENTS}] add_one, 1 connection, p50", unit="µs", ratio=1.0)
THROUGHPUT = Metric(
    name=f"gRPC FP32[{_ELEMENTS}] add_one, 4 connections with 4 calls each",
    unit="requests/s",
    better=Better.HIGHER,
    ratio=1.0,
)
RESPONSES = Metric(
    name=f"gRPC stream, INT32[1], {_COUNT:,} responses to a request",
    unit="responses/s",
    better=Better.HIGHER,
    ratio=2.0,
)


def grpc(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    with both(bench) as servers:
        for server in servers:
            _check(server)
        for _ in range(bench.rounds):
            for server in servers:
                yield server.name, _sample(bench, server)


def _sample(bench: Bench, server: Running) -> Sample:
    def load(method: str, request: Any, connections: int, streams: int) -> Calls:
        return h2load(
            server.grpc_port,
            method,
            request,
            scratch=bench.scratch,
            connections=connections,
            streams=streams,
            seconds=bench.seconds,
        )

    request = floats("add_one", _ELEMENTS)
    alone, crowd = load("ModelInfer", request, 1, 1), load("ModelInfer", request, 4, 4)
    many = load("ModelStreamInfer", times("repeat", _COUNT), 1, 1)
    return {LATENCY: alone.p50_us, THROUGHPUT: crowd.per_second, RESPONSES: 1e6 * _COUNT / many.p50_us}


def _check(server: Running) -> None:
    """A failed call has status 200 too, as HTTP sees it."""
    import grpc as grpcio
    from tritonclient.grpc import service_pb2_grpc

    with contextlib.closing(grpcio.insecure_channel(f"127.0.0.1:{server.grpc_port}")) as channel:
        service = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer = service.ModelInfer(floats("add_one", 1))
        count = sum(1 for _ in service.ModelStreamInfer(iter([times("repeat", 100)])))
    if answer.raw_output_contents[0] != b"\0\0\0@" or count != 100:
        raise RuntimeError(f"{server.name} gave a wrong answer over gRPC")
