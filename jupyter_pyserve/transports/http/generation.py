"""One generate request and its responses: one document, or events as they come.

The sink of such a request. Responses that the client does not take yet stay where they are, so that the model waits.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.head import Head
from jupyter_pyserve.transports.http.replies import JSON
from jupyter_pyserve.transports.http.writer import Writer
from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.compression import Encoding
from jupyter_pyserve.v2.generate import NOT_ONE_RESPONSE, parse_generate, render_generate
from jupyter_pyserve.v2.messages import OutputValue
from jupyter_pyserve.v2.plan import make_request_plan

_EVENTS = b"text/event-stream; charset=utf-8"


class Generation:
    """Answers on one connection; `on_end` is called when nothing follows."""

    __slots__ = (
        "_connection_header",
        "_count",
        "_failed",
        "_held",
        "_id",
        "_on_end",
        "_servable",
        "_streaming",
        "_text",
        "_writer",
        "job",
    )

    def __init__(
        self,
        servable: LoadedVersion,
        writer: Writer,
        connection_header: bytes,
        on_end: Callable[[], None],
        *,
        streaming: bool,
    ) -> None:
        self._servable = servable
        self._writer = writer
        self._connection_header = connection_header
        self._on_end = on_end
        self._streaming = streaming
        self._held: deque[Response] = deque()
        self._count = 0
        self._failed = False
        self._text = b""
        self._id = ""
        #: What is to be cancelled when the client goes; None before it is queued, and after its last response.
        self.job: Job | None = None

    def submit(self, head: Head, body: bytes, limit: int, sink: Sink) -> None:
        """Queue the request, whose responses come through `sink`; raises `PyServeError` when it is refused."""
        if head.content_encoding is not Encoding.IDENTITY:
            raise PyServeError(Code.INVALID_ARG, "Unsupported content-encoding, only 'identity' is supported.")
        servable = self._servable
        request = parse_generate(body, servable.signature, max_json_bytes=limit)
        plan = make_request_plan(request, servable.signature)
        self._id = request.id
        self.job = job = intake.gathered(plan, servable, memoryview(b""), sink)
        try:
            intake.enter(job, plan, servable)
        except BaseException:
            self.job = None
            job.finish()
            raise

    def deliver(self, job: Job, response: Response) -> None:
        """A response; it is released when it has been written."""
        if response.final:
            self.job = None
        self._held.append(response)
        self._write()

    def _write(self) -> None:
        while self._held and not self._writer.paused:
            response = self._held.popleft()
            text = b"" if response.bare else self._render(response)
            final = response.final
            response.release()
            if text:
                self._take(text)
            if final:
                self._end()

    def _take(self, text: bytes) -> None:
        self._count += 1
        if self._streaming:
            if self._count == 1:
                self._begin(_EVENTS)
            self._writer.chunk(b"data: %b\n\n" % text)
        else:
            self._text = text

    def _end(self) -> None:
        if self._streaming:
            if not self._count:
                self._begin(_EVENTS)
        else:
            self._begin(JSON)
            self._writer.chunk(self._text if self._count == 1 else metadata.error(NOT_ONE_RESPONSE))
        self._writer.end()
        self._on_end()

    def _begin(self, content_type: bytes) -> None:
        self._writer.begin(400 if self._failed else 200, content_type, self._connection_header, self._write)

    def _render(self, response: Response) -> bytes:
        try:
            if response.code is not None:
                raise PyServeError(response.code, response.text)
            return self._success(response)
        except PyServeError as error:
            self._failed = self._failed or not self._count
            return metadata.error(error.message)
        except (WireError, ValueError, TypeError) as error:
            self._failed = self._failed or not self._count
            return metadata.error(f"the model's response cannot be read: {error}")

    def _success(self, response: Response) -> bytes:
        outputs = [
            OutputValue(name=name, datatype=NAMES[code], shape=shape, data=view, binary=False)
            for (name, code, shape), view in zip(response.tensors, response.views())
        ]
        parameters: Any = json.loads(response.parameters) if response.parameters else None
        return render_generate(
            model_name=self._servable.name,
            version=str(self._servable.version),
            id=self._id,
            outputs=outputs,
            parameters=parameters,
        )

    def abandon(self) -> None:
        """The client is gone."""
        while self._held:
            self._held.popleft().release()
        if self.job is not None:
            job, self.job = self.job, None
            job.owner.cancel(job)
