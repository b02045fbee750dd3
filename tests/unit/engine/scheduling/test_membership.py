from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import pytest

from jupyter_pyserve.engine.scheduling.membership import Membership
from jupyter_pyserve.engine.scheduling.rates import Rates
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import InstanceSpec
from jupyter_pyserve.model.values import RateLimiter, RateLimiterResource
from jupyter_pyserve.settings import EngineSettings, RateLimitResource


def specs(*counts: int) -> Iterable[InstanceSpec]:
    for number, count in enumerate(counts):
        limits = RateLimiter(resources=(RateLimiterResource(name="R", is_global=False, count=count),))
        yield InstanceSpec(name=f"m_{number}", group="m", kind="CPU", device_id=0, rate_limiter=limits)


def membership(rates: Rates | None) -> Membership:
    return Membership(rates, lambda: None)


def test_what_could_never_execute_is_a_failure_of_the_load() -> None:
    async def scenario() -> None:
        rates = Rates(EngineSettings(rate_limit_resources=(RateLimitResource("R", 2),)))
        with pytest.raises(LoadFailure, match="is limited to 2 which") as caught:
            membership(rates).join(specs(1, 3))
        assert caught.value.kind == "Invalid argument"
        member = membership(rates)
        member.join(specs(1, 2))
        member.keep(())

    asyncio.run(scenario())


def test_the_log_tells_how_much_there_is_now(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        member = membership(Rates(EngineSettings()))
        larger, smaller = specs(4, 3)
        with caplog.at_level(logging.DEBUG):
            member.join([larger])
            member.join([smaller])
            member.keep([smaller])

    asyncio.run(scenario())
    told = [record.getMessage().split("Count: ")[1] for record in caplog.records]
    assert told == ["4\n", "4\n", "3\n"]


def test_without_a_limiter_everything_can() -> None:
    member = membership(None)
    member.join(specs(10))
    member.keep(())
    assert member.turns is None
