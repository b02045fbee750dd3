"""`pyserve.form`: a model's inputs to fill in, and what it answers. Requests are made by the kernel, on its lane."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, columns, element, table
from jupyter_pyserve.notebook.payloads import TensorInfo
from jupyter_pyserve.notebook.snippets import curl_request
from jupyter_pyserve.notebook.widgets.fields import (
    FieldErrors,
    field_of,
    outputs_of,
    python_line,
    read_request,
    request_body,
)
from jupyter_pyserve.notebook.widgets.live import Live
from jupyter_pyserve.notebook.widgets.running import Background, Run

#: Of a model that does not stop answering.
_MAX_RESPONSES = 100


class Form(Live):
    """What is typed stays in the view; what was asked last and answered, here."""

    kind = "form"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._tensors: list[TensorInfo] = []
        self._optional: set[str] = set()
        self._decoupled = False
        self._texts: dict[str, str] = {}
        self._outcome: dict[str, Any] = {"text": "not asked yet", "error": ""}
        self._responses: list[list[dict[str, Any]]] = []
        self._request: tuple[dict[str, Any], dict[str, Any], str] = ({}, {}, "")
        self._background = Background(self._infer)
        self._read()

    def _read(self) -> None:
        client = default_client()
        model = client.model(self.name)
        self._tensors = model.metadata["inputs"]
        self._optional = {item["name"] for item in model.config.get("input", []) if item.get("optional")}
        self._decoupled = bool(Control(client.connection).model_status(self.name).get("decoupled"))

    def begin(self) -> None:
        problem = ""
        try:
            self._read()  # it may have been deployed anew
        except PyServeError as error:
            problem = error.message
        fields = [field_of(tensor, optional=tensor["name"] in self._optional) for tensor in self._tensors]
        self.send(
            {
                "type": "form",
                "name": self.name,
                "decoupled": self._decoupled,
                "fields": fields,
                "problem": problem,
                "outcome": self._outcome,
                "responses": self._responses,
                "running": self._background.running,
            }
        )

    def received(self, content: Mapping[str, Any]) -> None:
        kind = content.get("type")
        if kind == "cancel":
            self._background.stop()
        elif kind in ("infer", "copy"):
            self._typed(kind, content)

    def _typed(self, kind: str, content: Mapping[str, Any]) -> None:
        texts = {str(key): str(value) for key, value in dict(content.get("values") or {}).items()}
        request_id = str(content.get("id") or "")
        try:
            arrays, parameters = read_request(
                self._tensors, self._optional, texts, str(content.get("parameters") or "")
            )
            if kind == "copy":
                self.send({"type": "copied", "text": self._copy(content, arrays, parameters, request_id)})
                return
        except FieldErrors as error:
            self.send({"type": "invalid", "fields": error.by_name})
            return
        except PyServeError as error:
            self.send({"type": "invalid", "fields": {"parameters": error.message}})
            return
        if not self._background.running:
            self._texts, self._request = texts, (arrays, parameters, request_id)
            self._background.start()

    def _copy(
        self, content: Mapping[str, Any], arrays: dict[str, Any], parameters: dict[str, Any], request_id: str
    ) -> str:
        if content.get("as") == "python":
            return python_line(self.name, arrays, parameters, request_id)
        address = default_client().address
        socket_path = None if address.url else str(address.http_socket)
        body = request_body(arrays, parameters, request_id)
        return curl_request(self.name, body, stream=self._decoupled, socket_path=socket_path)

    def _infer(self, run: Run) -> None:
        arrays, parameters, request_id = self._request
        self._responses = []
        self.send({"type": "running"})
        began_s = time.perf_counter()
        error = ""
        try:
            model = default_client(may_start=False).model(self.name).using(parameters=parameters, request_id=request_id)
            stream = model.stream(**arrays)
            run.hold(stream)
            for answer in stream:
                self._responses = [*self._responses[-_MAX_RESPONSES:], outputs_of(answer)]
                elapsed_ms = (time.perf_counter() - began_s) * 1e3
                self.send({"type": "response", "outputs": self._responses[-1], "elapsed_ms": elapsed_ms})
        except PyServeError as failure:
            error = failure.message
        except (OSError, ValueError, TypeError) as failure:
            error = str(failure)
        elapsed_ms = (time.perf_counter() - began_s) * 1e3
        if run.over.is_set():
            error = "cancelled"
        count = len(self._responses)
        text = f"{count} response{'' if count == 1 else 's'} in {figures.milliseconds(elapsed_ms)}" if not error else ""
        self._outcome = {"text": text, "error": error}
        self.send({"type": "done", "outcome": self._outcome})
        self.keep_picture()

    def picture(self) -> View:
        return FormPicture(self.name, self._tensors, dict(self._texts), dict(self._outcome), list(self._responses))


class FormPicture(View):
    """The last request and its answer."""

    _INPUTS = ("input", "datatype", "shape", "value")
    _OUTPUTS = ("output", "datatype", "shape", "value")

    def __init__(
        self,
        name: str,
        tensors: list[TensorInfo],
        texts: Mapping[str, str],
        outcome: Mapping[str, str],
        responses: list[list[dict[str, Any]]],
    ) -> None:
        self._name = name
        self._inputs = [
            (item["name"], item["datatype"], item["shape"], texts.get(item["name"], "")) for item in tensors
        ]
        self._outcome = outcome["error"] or outcome["text"]
        self._outputs = [
            (item["name"], item["datatype"], item["shape"], item["text"]) for response in responses for item in response
        ]

    def html(self) -> Markup:
        parts = [element("b", self._name), table(self._INPUTS, self._inputs), element("div", self._outcome)]
        return element("div", *parts, *([table(self._OUTPUTS, self._outputs)] if self._outputs else []))

    def plain(self) -> str:
        parts = [self._name, columns([word.upper() for word in self._INPUTS], self._inputs), self._outcome]
        if self._outputs:
            parts.append(columns([word.upper() for word in self._OUTPUTS], self._outputs))
        return "\n\n".join(parts)
