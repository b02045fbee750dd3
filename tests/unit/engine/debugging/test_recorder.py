from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.debugging.recorder import Mode, Recorder
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.errors import Code
from jupyter_pyserve.v2.messages import InferRequest


class Memory:
    """Counts what is read of it."""

    def __init__(self) -> None:
        self.reads = 0

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        self.reads += 1
        return memoryview(b"x" * nbytes)


def job(*sizes: int, memory: Memory | None = None, counts: bool = True) -> Job:
    owner = SimpleNamespace(
        name="m", version=1, model_file="/m/1/model.py", initialize_args=lambda instance: {"a": "b"}
    )
    request = InferRequest(id="r", inputs=(), parameters={})
    facts = {
        "key": 1,
        "owner": owner,
        "memory": memory or Memory(),
        "instance": SimpleNamespace(name="m_0"),
        "descriptors": [(1, 0, size, 0) for size in sizes],
        "plan": SimpleNamespace(request=request, layout=encode_layout([TensorMeta("IN", 11, (2, 1))])),
        "counts": counts,
    }
    return cast(Job, SimpleNamespace(**facts))


def response(code: Code | None = None, *, final: bool = True) -> Response:
    return cast(Response, SimpleNamespace(code=code, final=final))


def test_failures_are_kept_unless_nobody_wants_them() -> None:
    recorder = Recorder()
    recorder.failed(job(4, 0), "why")
    (kept,) = recorder.shelf.of("m")
    assert kept.seen == {"IN": (2, 1)}
    assert (kept.blobs, kept.nbytes, kept.error, kept.args) == ([b"xxxx", b""], 4, "why", {"a": "b"})
    recorder.failed(job(4, counts=False), "a slot that was filled up")
    recorder.choose("m", Mode.OFF)
    recorder.failed(job(4), "why")
    assert recorder.shelf.of() == [kept]


def test_answers_leave_as_ever_unless_all_are_kept() -> None:
    recorder, delivered = Recorder(), list[Any]()

    def deliver(job: Job, response: Response) -> None:
        delivered.append(response)

    assert recorder.delivering("m", deliver) is deliver
    recorder.choose("m", Mode.ALL)
    assert recorder.delivering("other", deliver) is deliver
    keeping = recorder.delivering("m", deliver)
    answers = [response(final=False), response(Code.INTERNAL), response()]
    for answer in answers:
        keeping(job(4), answer)
    assert delivered == answers
    assert [item.error for item in recorder.shelf.of("m")] == [""]


def test_a_limit_holds_at_once_and_stays() -> None:
    recorder = Recorder()
    for number in range(3):
        recorder.failed(job(1), str(number))
    recorder.choose("m", Mode.FAILURES, 2)
    assert [item.error for item in recorder.shelf.of("m")] == ["1", "2"]
    recorder.choose("m", Mode.ALL)
    recorder.failed(job(1), "3")
    assert [item.error for item in recorder.shelf.of("m")] == ["2", "3"]


def test_sizes_are_looked_at_before_anything_is_copied() -> None:
    recorder, memory = Recorder(limit_nbytes=400), Memory()
    recorder.failed(job(60, 41, memory=memory), "too large")
    assert memory.reads == 0
    recorder.failed(job(60, 40, memory=memory), "fits")
    assert memory.reads == 2
    assert [item.blobs is None for item in recorder.shelf.of("m")] == [True, False]


def test_a_recording_that_fails_does_not_fail_the_request(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    broken = job(4)
    broken.memory = cast(Any, None)
    recorder.failed(broken, "why")
    assert recorder.shelf.of() == []
    assert "request 1 could not be recorded" in caplog.text


def test_a_model_that_is_gone_for_good_leaves_nothing_and_begins_anew() -> None:
    recorder = Recorder()
    recorder.choose("m", Mode.FAILURES, 5)
    for _ in range(2):
        recorder.failed(job(4), "why")
    assert [item.id for item in recorder.shelf.of()] == ["m-1", "m-2"]
    recorder.forget("m")
    assert recorder.shelf.of() == []
    recorder.failed(job(4), "why")
    assert [item.id for item in recorder.shelf.of()] == ["m-1"]
    recorder.forget("of nobody")
