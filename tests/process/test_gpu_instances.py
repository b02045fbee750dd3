"""Instances on GPUs, of which this needs none: what a model does with the one that it is told of is its own affair."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.process.inside import MODEL, Inside, model_config, serving
from tests.process.waiting import wait_until

#: Answers with the number of its GPU.
BODY = """
    def initialize(self, args):
        kind, device = args["model_instance_kind"], args["model_instance_device_id"]
        self.device = float(device) if kind == "GPU" else -1.0
        self.name = args["model_instance_name"]
        assert "CUDA_VISIBLE_DEVICES" not in os.environ

    def execute(self, requests):
        return [out(self.device) for request in requests]
"""


def devices(inside: Inside) -> list[tuple[str, int]]:
    return [(item.name, item.spec.device_id) for item in inside.servable.instances if item.alive]


async def answers(inside: Inside) -> set[float]:
    found = set()
    for item in [inside.ask(1.0) for _ in range(20)]:
        found.update(await item.values())
    return found


def test_an_instance_on_each_gpu(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, BODY, model_config(decoupled=False), gpu_count=2) as inside:
            both = [(f"{MODEL}_0", 0), (f"{MODEL}_0", 1)]
            assert devices(inside) == both
            assert await answers(inside) <= {0.0, 1.0}
            os.kill(killed := inside.servable.instances[1].pid, signal.SIGKILL)

            def renewed() -> bool:
                there = [item.pid for item in inside.servable.instances]
                return killed not in there and sorted(devices(inside)) == both

            await asyncio.to_thread(wait_until, renewed, "another one is there")
            await inside.service.scale(MODEL, 2)
            assert len(devices(inside)) == 4
            await inside.service.scale(MODEL, 1)
            assert sorted(devices(inside)) == both

    asyncio.run(asyncio.wait_for(main(), 60))


def test_only_where_it_says(tmp_path: Path) -> None:
    extra = "instance_group { kind: KIND_GPU gpus: 1 } instance_group { kind: KIND_CPU }"

    async def main() -> None:
        async with serving(tmp_path, BODY, model_config(decoupled=False, extra=extra), gpu_count=2) as inside:
            assert devices(inside) == [(f"{MODEL}_0_0", 1), (f"{MODEL}_1_0", 0)]
            assert await answers(inside) <= {1.0, -1.0}

    asyncio.run(asyncio.wait_for(main(), 60))
