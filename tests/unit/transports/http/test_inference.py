from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http import inference
from tests.support.turning import until
from tests.unit.transports.http.fakes import FakeServable, signature

LIMIT = 1000
SINK = cast(Any, None)


def header(**members: Any) -> bytes:
    tensor = {"name": "IN", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}
    return json.dumps({"inputs": [{**tensor, **members}]}).encode()


def landed(servable: FakeServable, told: bytes, blob: bytes) -> inference.Landing:
    landing = inference.land(cast(Any, servable), len(told) + len(blob), len(told), SINK)
    landing.view[:] = told + blob
    return landing


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_the_first_tensor_lands_aligned(length: int) -> None:
    landing = inference.land(cast(Any, FakeServable()), length + 8, length, SINK)
    assert (landing.offset + length) % 64 == 0
    assert landing.view.nbytes == length + 8


def test_the_second_request_with_the_same_header_has_the_same_plan() -> None:
    servable = FakeServable()
    for _ in range(2):
        inference.submit(landed(servable, header(), bytes(8)), LIMIT)
    first, second = servable.jobs
    assert first.plan is second.plan
    inference.submit(landed(servable, header(shape=[1, 2][1:]), bytes(8)), LIMIT)
    assert len(servable.plans) == 1


def test_the_same_header_before_another_length_is_looked_at_again() -> None:
    servable = FakeServable()
    inference.submit(landed(servable, header(), bytes(8)), LIMIT)
    with pytest.raises(PyServeError, match="unexpected additional input data"):
        inference.submit(landed(servable, header(), bytes(12)), LIMIT)


def test_plans_are_bounded() -> None:
    servable = FakeServable()
    for number in range(1100):
        told = header()[:-1] + b',"id":"%d"}' % number
        inference.submit(landed(servable, told, bytes(8)), LIMIT)
    assert 0 < len(servable.plans) <= 1024


def test_inputs_in_the_header_are_copied_together() -> None:
    servable = FakeServable()
    tensor = {"name": "IN", "datatype": "FP32", "shape": [2], "data": [1, 2]}
    job = inference.submit_json(cast(Any, servable), json.dumps({"inputs": [tensor]}).encode(), LIMIT, SINK)
    assert servable.inputs(job) == [b"\x00\x00\x80?\x00\x00\x00@"]
    assert servable.plans == {}
    job.finish()
    assert servable.arena.used == 0


def test_a_raw_string_gets_its_length() -> None:
    servable = FakeServable(signature(datatype="BYTES", dims=(1,)))
    landing = landed(servable, b"", b"hello")
    inference.submit(landing, LIMIT)
    assert servable.inputs(landing.job) == [b"\x05\x00\x00\x00hello"]
    landing.job.finish()
    assert servable.arena.used == 0


def test_a_refusal_leaves_the_job_to_the_caller() -> None:
    servable = FakeServable()
    landing = landed(servable, header(datatype="INT32"), bytes(8))
    with pytest.raises(PyServeError, match="data-type"):
        inference.submit(landing, LIMIT)
    assert servable.outstanding == 1
    landing.job.finish()
    assert servable.outstanding == 0


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        (
            {"parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 8}},
            Code.UNSUPPORTED,
            "--allow-client-shm",
        ),
    ],
)
def test_what_is_not_there_yet(members: dict[str, Any], code: Code, message: str) -> None:
    servable = FakeServable()
    with pytest.raises(PyServeError, match=message) as refusal:
        inference.submit(landed(servable, header(**members), b""), LIMIT)
    assert refusal.value.code is code


def test_plans_of_huge_headers_are_not_kept() -> None:
    servable = FakeServable()
    told = header()[:-1] + b',"unknown":"%b"}' % (b"x" * 20_000)
    inference.submit(landed(servable, told, bytes(8)), 100_000)
    assert len(servable.jobs) == 1
    assert servable.plans == {}


def test_a_request_that_gave_up_waiting_never_lands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_MEMORY_TIMEOUT_S", 0.0)

    async def main() -> None:
        servable: Any = FakeServable()
        servable.memory_full = lambda nbytes: MemoryFull("full", for_good=False)
        servable.full = MemoryFull("full", for_good=False)
        ended: list[object] = []
        inference.land_later(servable, 8, 0, SINK, lambda: True, ended.append)
        await until(lambda: bool(ended))
        servable.full = None
        assert servable.hungry[0]()
        assert [type(item) for item in ended] == [MemoryFull]
        assert servable.outstanding == 0

    asyncio.run(main())
