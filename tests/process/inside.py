"""A service in the test's own event loop, with real stubs: requests without a transport, responses as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pyserve_stub.elements import DTYPES

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.server_log import ServerLog
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.errors import Code
from jupyter_pyserve.settings import ControlMode, EngineSettings, LogSettings
from jupyter_pyserve.v2.infer import parse_infer
from jupyter_pyserve.v2.plan import make_request_plan
from tests.process.waiting import DEADLINE_S

MODEL = "m"
Array = Any


class Item(NamedTuple):
    """One response as it was delivered."""

    code: Code | None
    text: str
    outputs: dict[str, Array]
    final: bool
    bare: bool


class Conversation:
    """One request and what is answered; a sink. With `greedy` off, memory is kept until `release`."""

    def __init__(self, *, greedy: bool = True) -> None:
        self.job: Job | None = None
        self.ended = False
        self._greedy = greedy
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._kept: list[Response] = []

    def deliver(self, job: Job, response: Response) -> None:
        assert not self.ended, "something follows the final response"
        self.ended = response.final
        views = [] if response.code is not None or response.bare else response.views()
        outputs = {
            meta.name: np.frombuffer(bytes(view), DTYPES[meta.code]).reshape(meta.shape)
            for meta, view in zip(response.tensors, views)
        }
        self._items.put_nowait(Item(response.code, response.text, outputs, response.final, response.bare))
        if self._greedy:
            response.release()
        else:
            self._kept.append(response)

    def release(self) -> None:
        """Everything that was kept has been read, and what comes is read at once."""
        self._greedy = True
        kept, self._kept = self._kept, []
        for response in kept:
            response.release()

    @property
    def waiting(self) -> int:
        """How many responses nobody has taken."""
        return self._items.qsize()

    async def next(self) -> Item:
        """The next response."""
        return await asyncio.wait_for(self._items.get(), DEADLINE_S)

    async def all(self) -> list[Item]:
        """Every response up to the final one."""
        items = [await self.next()]
        while not items[-1].final:
            items.append(await self.next())
        return items

    async def values(self, name: str = "OUT") -> list[float]:
        """The first number of each response; the last may be bare."""
        return [float(item.outputs[name].flat[0]) for item in await self.all() if not item.bare]


class Inside:
    """A service with one model."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.folder = folder

    @property
    def servable(self) -> Servable:
        found: LoadedVersion = self.service.lookup(MODEL, "")
        assert isinstance(found, Servable)
        return found

    @property
    def instance(self) -> Instance:
        return self.servable.instances[0]

    def ask(self, value: float = 0.0, *, greedy: bool = True, **parameters: Any) -> Conversation:
        """Send a request with one number, IN."""
        servable, sink = self.servable, Conversation(greedy=greedy)
        shape = [1, 1] if servable.config.max_batch_size else [1]
        tensor = {"name": "IN", "shape": shape, "datatype": "FP32", "data": [value]}
        body = json.dumps({"id": str(value), "inputs": [tensor], "parameters": parameters}).encode()
        request = parse_infer(body, body_nbytes=len(body), header_nbytes=None, model_name=MODEL, max_json_bytes=1 << 20)
        plan = make_request_plan(request, servable.signature)
        sink.job = job = intake.gathered(plan, servable, memoryview(b""), sink)
        intake.enter(job, plan, servable)
        return sink

    def cancel(self, conversation: Conversation) -> None:
        """Its client is gone."""
        assert conversation.job is not None
        self.servable.cancel(conversation.job)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Let the loop turn until something has come about."""
        end_s = asyncio.get_running_loop().time() + DEADLINE_S
        while not condition():
            assert asyncio.get_running_loop().time() < end_s, f"waited in vain until {what}"
            await asyncio.sleep(0.002)

    async def settled(self) -> None:
        """No request is left, and all memory has been given back."""
        servable = self.servable
        await self.until(lambda: not servable.outstanding and not servable.arena.used, "requests have ended")
        await self.until(lambda: all(map(_idle, servable.instances)), "responses are released")

    def log(self) -> str:
        """What the model's processes have said."""
        return "\n".join(record.text for record in self.service.logs.tail(MODEL, 1000))


def _idle(instance: Instance) -> bool:
    status = instance.process.status()
    return instance.alive and not instance.busy and status is not None and not status.arena_used


def model_source(body: str) -> str:
    """A model.py whose class has this body, indented by four spaces less."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in body.strip("\n").splitlines())
    helpers = (
        "import asyncio, gc, os, threading, time\n"
        "import numpy as np\n"
        "import triton_python_backend_utils as pb_utils\n"
        "FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL\n"
        "def value(request):\n    return float(request.inputs()[0].as_numpy().flat[0])\n"
        "def out(number, count=1):\n"
        '    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.full(count, number, np.float32))])\n'
    )
    return f"{helpers}class TritonPythonModel:\n{lines}"


def model_config(*, decoupled: bool = True, extra: str = "", **parameters: str) -> str:
    """A config.pbtxt with one input and one output."""
    entries = "".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{text}" }} }}\n' for key, text in parameters.items()
    )
    policy = "model_transaction_policy { decoupled: true }\n" if decoupled else ""
    return (
        'backend: "python"\n'
        'input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }\n'
        'output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }\n'
        f"{policy}{entries}{extra}\n"
    )


@contextlib.asynccontextmanager
async def serving(folder: Path, body: str, config: str, **settings: Any) -> AsyncIterator[Inside]:
    """A service whose model has this class body and configuration."""
    version = folder / "models" / MODEL / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(model_source(body))
    (version.parent / "config.pbtxt").write_text(config)
    made = EngineSettings(
        model_repositories=(str(folder / "models"),), control_mode=ControlMode.NONE, exit_timeout_s=5.0, **settings
    )
    service = Service(made, log=ServerLog(LogSettings()), output=sys.stderr)
    try:
        await service.start()
        yield Inside(service, folder)
    finally:
        await service.close()
