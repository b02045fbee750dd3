"""One request's way through members that do nothing; whole ensembles are tested with processes."""

from __future__ import annotations

from typing import Any

from jupyter_pyserve.engine.ensembles.run import Execution
from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.memory.region import CudaRegion
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.ensembles import EnsembleGraph
from jupyter_pyserve.model.scheduling import EnsembleScheduling, EnsembleStep
from tests.unit.engine.tracing.test_watch import Bench
from tests.unit.transports.http.fakes import FakeServable

STEP = EnsembleStep(model_name="m", input_map={"IN": "IN"}, output_map={"OUT": "OUT"})


class Ensemble(FakeServable):
    """Of one member."""

    nested = False
    shapes = None
    streaming: frozenset[int] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.member = FakeServable()
        self.members = (self.member,)  # type: ignore[assignment]
        self.graph = EnsembleGraph.compile(EnsembleScheduling(steps=(STEP,)))
        self.limits = ()

    def ended(self, job: Job) -> None: ...

    def count_failure(self, job: Job, reason: object) -> None: ...


def test_an_input_that_its_client_has_taken_away_when_its_trace_wants_to_see_it() -> None:
    bench = Bench()
    ensemble: Any = Ensemble()
    assert bench.job is not None
    region = CudaRegion("r", bytes(64), 0, 8)  # as one that cannot be read
    bench.job.foreign, bench.job.descriptors = (region,), ((region.id, 0, 8, 0),)
    bench.record.levels = ("TENSORS",)
    Execution(ensemble, bench.job).start()
    [response] = bench.client.responses
    assert response.code is Code.UNSUPPORTED
    assert "region 'r' is on a device" in response.text
    assert ensemble.member.jobs == []
    assert ensemble.member.outstanding == 0
    response.release()
    assert bench.servable.outstanding == 0
    assert bench.servable.arena.used == 0
