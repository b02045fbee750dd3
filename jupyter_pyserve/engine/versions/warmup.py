"""Warm-up: the requests that a configuration wants every instance to answer before the model counts as ready.

Makes their inputs (zeros, random values, files) and sees that they are answered. Which instance, and when, is for who
starts instances; how a request is carried out and counted is as for any other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from pyserve_stub.wire.datatypes import BYTES, CODES, ITEMSIZE, NUMPY

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import Warmup, WarmupInput
from jupyter_pyserve.model.signature import protocol_datatype
from jupyter_pyserve.v2.infer import InferRequest, InputRef
from jupyter_pyserve.v2.messages import request_prefix
from jupyter_pyserve.v2.plan import RequestPlan, make_request_plan

_log = logging.getLogger(__name__)

_ALIGNMENT = 64
_LENGTH_NBYTES = 4


@dataclass(frozen=True, slots=True)
class _Sample:
    """A request that is sent again and again; `contents` are the bytes of its inputs."""

    warmup: Warmup
    plan: RequestPlan
    contents: Sequence[bytes]


class _Answers:
    """Waits for the answers to a batch and keeps what went wrong."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.faults: list[str] = []
        self.all: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, job: Job, response: Response) -> None:
        """One response, of several if the model is decoupled."""
        if response.code is not None:
            self.faults.append(response.text)
        final = response.final
        response.release()
        self._left -= final
        if not self._left and not self.all.done():
            self.all.set_result(None)


class WarmUp:
    """The warm-up of one model version. `prepare` has the last word on a request before it is sent."""

    def __init__(self, version: LoadedVersion, model_dir: str, prepare: Callable[[Job], None]) -> None:
        self._version = version
        self._folder = os.path.join(model_dir, "warmup")
        self._prepare = prepare

    async def run(self, instance: Instance) -> None:
        """Have an instance answer every sample; raises `LoadFailure` with Triton's text when it fails to."""
        samples = []
        for warmup in self._version.config.warmups:
            if warmup.batch_size == 0:
                _log.debug("Skipping batch 0 warmup sample '%s'", warmup.name)
                continue
            _log.debug("Generating warmup sample data for '%s'", warmup.name)
            samples.append(await asyncio.to_thread(self._sample, warmup))
        for sample in samples:
            for number in range(1, sample.warmup.runs + 1):
                name = self._version.name
                text = "model '%s' instance %s is running warmup sample '%s' for iteration %d"
                _log.debug(text, name, instance.name, sample.warmup.name, number)
                await self._execute(instance, sample)

    async def _execute(self, instance: Instance, sample: _Sample) -> None:
        warmup = sample.warmup
        answers = _Answers(warmup.batch_size)
        instance.require_alive()
        jobs: list[Job] = []
        try:
            for _ in range(warmup.batch_size):
                jobs.append(self._job(sample, answers))  # noqa: PERF401 - those that were made are given back
        except LoadFailure:
            for job in jobs:
                job.finish()
            raise
        instance.attach(tuple(self._version.arena.segments.values()))
        instance.execute([jobs], time.monotonic_ns())
        await answers.all
        if answers.faults:
            faults = "".join(f"{text}; " for text in answers.faults)
            text = f"failed to run warmup sample '{warmup.name}': {faults}"
            raise LoadFailure(text, kind="Invalid argument")

    def _job(self, sample: _Sample, answers: _Answers) -> Job:
        sizes = [-(-len(content) // _ALIGNMENT) * _ALIGNMENT for content in sample.contents]
        try:
            job, segment, offset = self._version.new_job(sum(sizes), answers)
        except PyServeError as error:
            raise LoadFailure(error.message, kind="Unavailable") from error
        descriptors = []
        for content, size in zip(sample.contents, sizes):
            self._version.arena.view(segment, offset, len(content))[:] = content
            descriptors.append((segment, offset, len(content), 0))
            offset += size
        job.plan, job.descriptors = sample.plan, descriptors
        job.enqueue_ns = time.monotonic_ns()
        self._prepare(job)
        return job

    def _sample(self, warmup: Warmup) -> _Sample:
        """Blocks, where data is in a file."""
        signature = self._version.signature
        known = [item for item in warmup.inputs if item.name in signature.inputs]
        for item in warmup.inputs:
            if item not in known:
                text = "model '%s': warmup sample '%s' has an input '%s', which the model does not"
                _log.warning(text, self._version.name, warmup.name, item.name)
        batch = (1,) if signature.max_batch_size > 0 else ()
        contents = [self._content(item) for item in known]
        inputs = tuple(
            InputRef(
                name=item.name,
                datatype=protocol_datatype(item.data_type),
                shape=(*batch, *item.dims),
                offset=0,
                nbytes=len(content),
            )
            for item, content in zip(known, contents)
        )
        try:
            plan = make_request_plan(InferRequest(id="", inputs=inputs, parameters={}), signature)
        except PyServeError as error:
            raise LoadFailure(error.message, kind="Invalid argument") from error
        return _Sample(warmup, plan, contents)

    def _content(self, item: WarmupInput) -> bytes:
        code = CODES.get(protocol_datatype(item.data_type))
        if code is None:
            name, wanted = self._version.name, self._version.signature.inputs[item.name].datatype
            types = f"data-type is '<invalid>', but model '{name}' expects '{wanted}'"
            text = f"{request_prefix('')}inference input '{item.name}' {types}"
            raise LoadFailure(text, kind="Invalid argument")
        count = prod(item.dims)
        nbytes = count * (_LENGTH_NBYTES if code == BYTES else ITEMSIZE[code])  # empty strings are their lengths
        full = self._version.memory_full(nbytes)
        if full.for_good:
            raise LoadFailure(full.message, kind="Unavailable")
        if item.source == "input_data_file":
            content = self._read(item.data_file)
            if code == BYTES:
                return content
            if len(content) < nbytes:
                # The missing space is Triton's.
                text = f"warmup setting expects {nbytes} bytes, but the data provided from {item.data_file}only has "
                raise LoadFailure(f"{request_prefix('')}{text}{len(content)} bytes", kind="Invalid argument")
            return content[:nbytes]
        if item.source == "random_data" and code != BYTES:
            return _random(code, count)
        return bytes(nbytes)

    def _read(self, name: str) -> bytes:
        path = os.path.join(self._folder, name)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise LoadFailure(f"failed to open text file for read {path}: {error.strerror}") from error


def _random(code: int, count: int) -> bytes:
    """Any values, but numbers: floats between 0 and 1, so that no model trips over what is none."""
    generator = np.random.default_rng()
    dtype = np.dtype(NUMPY[code])
    if dtype.kind == "f":
        return generator.random(count).astype(dtype).tobytes()
    if dtype.kind == "b":
        return generator.integers(0, 2, count).astype(dtype).tobytes()
    return generator.bytes(count * ITEMSIZE[code])
