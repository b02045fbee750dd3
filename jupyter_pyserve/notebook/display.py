"""What the notebook shows: a served model with its addresses, the list of models, logs, a deployment's progress.

Every view renders itself as escaped HTML and as plain text. Values in, text out: nothing here asks an engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.markup import Markup, code_block, columns, element, table
from jupyter_pyserve.notebook.payloads import (
    CacheInfo,
    DeployEvent,
    EngineInfo,
    EngineStatus,
    InstanceInfo,
    LogRecord,
    ModelInfo,
    SharedInfo,
    TensorInfo,
    VersionInfo,
)
from jupyter_pyserve.notebook.snippets import curl_line, curl_stream_line, tritonclient_snippet

_GOOD = "color:var(--jp-success-color1,#2e7d32);font-weight:bold"
_BAD = "color:var(--jp-error-color1,#c62828);font-weight:bold"
_WAITING = "color:var(--jp-warn-color1,#b26a00);font-weight:bold"
_INSTANCE_KEYS = ("name", "version", "pid", "state", "kind", "requests", "failures")
_NONE_SHARED = 'no array is shared; pyserve.share("weights", weights) shares one'
_SHARED = ("SHARED ARRAY", "TYPE", "SIZE", "USED BY")
_STAGES = {
    "queue": "waiting for its turn",
    "write": "writing the model repository",
    "spawn": "starting a process",
    "import": "importing model.py",
    "auto_complete": "running auto_complete_config",
    "initialize": "running initialize",
    "swap": "switching requests to the new version",
}


class View:
    """Something with an HTML and a plain-text rendering, for whichever front end asks."""

    def html(self) -> Markup:
        raise NotImplementedError

    def plain(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.plain()

    def _repr_html_(self) -> str:
        return str(self.html())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": self.plain(), "text/html": str(self.html())}


class ServedModel(View):
    """A model in service: state, versions, processes, every address, and requests to paste."""

    def __init__(self, info: ModelInfo, engine: EngineInfo, address: Address, *, note: str = "") -> None:
        self.info = info
        self.engine = engine
        self.address = address
        self.note = note

    @property
    def name(self) -> str:
        return self.info["name"]

    @property
    def state(self) -> str:
        return self.info.get("state", "")

    @property
    def versions(self) -> list[VersionInfo]:
        return self.info.get("versions", [])

    @property
    def instances(self) -> list[InstanceInfo]:
        return self.info.get("instances", [])

    def addresses(self) -> list[tuple[str, str]]:
        """How to reach it: label and address."""
        path = f"/v2/models/{quote(self.name, safe='')}"
        found = [("Jupyter", f"{self.address.url}{path}")] if self.address.url else []
        if self.engine.get("http_url"):
            found.append(("HTTP port", f"{self.engine['http_url']}{path}"))
        if self.engine.get("grpc_url"):
            found.append(("gRPC port", str(self.engine["grpc_url"])))
        if self.address.http_socket is not None:
            found += [("Unix socket", str(self.address.http_socket)), ("lane", str(self.address.lane_socket))]
        return found

    def curl(self) -> str | None:
        socket_path = None if self.address.url else str(self.address.http_socket)
        line = curl_stream_line if self.info.get("decoupled") else curl_line
        return line(self.name, self.info.get("inputs", []), socket_path=socket_path)

    def tritonclient(self) -> str | None:
        if not self.address.url or self.info.get("decoupled"):
            return None
        inputs, outputs = self.info.get("inputs", []), self.info.get("outputs", [])
        return tritonclient_snippet(self.name, inputs, outputs, secure=self.address.url.startswith("https:"))

    def html(self) -> Markup:
        parts = [
            element("div", element("b", self.name), " ", _state(self.state, self.info.get("reason")), f" {self.note}"),
            *(table(header, rows) for header, rows in self._tables() if rows),
        ]
        if not self._is_callable:
            return element("div", *parts)
        parts.append(table(("address", ""), [(label, element("code", where)) for label, where in self.addresses()]))
        snippets = {
            "curl: in a terminal, or in a cell with ! before it": self.curl(),
            "tritonclient": self.tritonclient(),
        }
        parts += [_details(title, source) for title, source in snippets.items() if source is not None]
        return element("div", *parts)

    def plain(self) -> str:
        reason = self.info.get("reason")
        parts = [
            f"{self.name}: {self.state}{f' ({reason})' if reason else ''}{f'  {self.note}' if self.note else ''}",
            *(columns(map(str.upper, header), rows) for header, rows in self._tables() if rows),
        ]
        if self._is_callable:
            parts += [columns(("ADDRESS", ""), self.addresses()), *filter(None, [self.curl()])]
        return "\n\n".join(parts)

    @property
    def _is_callable(self) -> bool:
        """Whether requests to paste are of use: a model out of service, or loading, has nobody to answer them."""
        return any(version.get("state") == "READY" for version in self.versions)

    def _tables(self) -> list[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        return [
            (("version", "state", "reason"), _version_rows(self.versions)),
            (("instance", *_INSTANCE_KEYS[1:]), _instance_rows(self.instances)),
            (("side", "name", "datatype", "shape"), _tensor_rows(self.info)),
        ]


class ModelList(View):
    """All models, one line each; a sequence of names for whoever wants them."""

    def __init__(self, status: EngineStatus) -> None:
        self.status = status

    def names(self) -> list[str]:
        return [info["name"] for info in self.status["models"]]

    def __len__(self) -> int:
        return len(self.status["models"])

    def __getitem__(self, index: int) -> ModelInfo:
        return self.status["models"][index]

    def html(self) -> Markup:
        if not self.status["models"]:
            return element("div", "no models yet")
        rows = [(row[0], _state(str(row[1]), None), *row[2:]) for row in self._rows()]
        return table(("model", "state", "versions", "processes", "requests", "failures"), rows)

    def plain(self) -> str:
        if not self.status["models"]:
            return "no models yet"
        return columns(("MODEL", "STATE", "VERSIONS", "PROCESSES", "REQUESTS", "FAILURES"), self._rows())

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                info["name"],
                info.get("state", ""),
                ", ".join(v["version"] for v in info.get("versions", []) if v.get("state") == "READY"),
                len(info.get("instances", [])),
                sum(i.get("requests", 0) for i in info.get("instances", [])),
                sum(i.get("failures", 0) for i in info.get("instances", [])),
            )
            for info in self.status["models"]
        ]


class EngineView(ModelList):
    """The engine and its models."""

    @property
    def http_url(self) -> str | None:
        """The engine's own HTTP port, which asks for the same token as the Jupyter server's address."""
        return self.status["engine"].get("http_url")

    def html(self) -> Markup:
        shared = SharedArrays(self.status["engine"].get("shared", []))
        return element("div", element("div", self._engine_line()), super().html(), shared.html() if shared else None)

    def plain(self) -> str:
        shared = SharedArrays(self.status["engine"].get("shared", []))
        return "\n\n".join([self._engine_line(), super().plain(), *([shared.plain()] if shared else [])])

    def _engine_line(self) -> str:
        engine = self.status["engine"]
        ports = [str(engine[key]) for key in ("http_url", "grpc_url", "metrics_url") if engine.get(key)]
        words = [
            f"engine {engine.get('version', '')} is {engine.get('state', '')}, pid {engine.get('pid', '')}",
            *ports,
        ]
        return ", ".join([*words, *engine.get("repositories", []), *_cache_words(engine.get("cache"))])


class SharedArrays(View):
    """The arrays that kernels share with models, and who uses them."""

    def __init__(self, rows: Sequence[SharedInfo]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def html(self) -> Markup:
        return table(map(str.lower, _SHARED), self._rows()) if self.rows else element("div", _NONE_SHARED)

    def plain(self) -> str:
        return columns(_SHARED, self._rows()) if self.rows else _NONE_SHARED

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                item["name"],
                f"{item['dtype']} {item['shape']}",
                figures.nbytes(item["nbytes"]),
                ", ".join(item["references"]),
            )
            for item in self.rows
        ]


def _cache_words(cache: CacheInfo | None) -> list[str]:
    if not cache:
        return []
    used, size = figures.nbytes(cache["used_bytes"]), figures.nbytes(cache["size_bytes"])
    answers = f"response cache: {cache['entries']} answers, {used} of {size}"
    return [f"{answers}, {cache['hits']} hits, {cache['misses']} misses"]


class LogView(View):
    """What models printed and logged, oldest first."""

    def __init__(self, records: Iterable[LogRecord], *, note: str = "") -> None:
        self.records = list(records)
        self.note = note

    def html(self) -> Markup:
        return element("pre", self.plain(), style="white-space:pre-wrap")

    def plain(self) -> str:
        lines = [_log_line(record) for record in self.records] or ["nothing was printed or logged"]
        return "\n".join([*lines, *([f"({self.note})"] if self.note else [])])


class Note(View):
    """A line of text in the place of a view."""

    def __init__(self, text: str) -> None:
        self.text = text

    def html(self) -> Markup:
        return element("div", self.text)

    def plain(self) -> str:
        return self.text


class Progress(View):
    """How far a deployment is."""

    def __init__(self, name: str, event: DeployEvent | None = None, *, note: str = "") -> None:
        self.name = name
        self.event = event
        self.note = note

    def html(self) -> Markup:
        return element("div", element("b", self.name), " ", element("span", self._what(), style=_WAITING))

    def plain(self) -> str:
        return f"{self.name}: {self._what()}"

    def _what(self) -> str:
        if self.note:
            return self.note
        stage = "" if self.event is None else self.event.get("stage", "")
        instance = None if self.event is None else self.event.get("instance")
        return f"{_STAGES.get(stage, stage or 'sent to the engine')}{f' ({instance})' if instance else ''} ..."


def _details(title: str, source: str) -> Markup:
    return element("details", element("summary", title), code_block(source))


def _state(state: str, reason: str | None) -> Markup:
    style = _GOOD if state == "READY" else _WAITING if state in ("LOADING", "BUSY", "UNLOADING") else _BAD
    return element("span", element("span", state, style=style), f" {reason}" if reason else None)


def _version_rows(versions: Sequence[VersionInfo]) -> list[tuple[object, ...]]:
    return [(v["version"], v.get("state"), v.get("reason")) for v in versions]


def _instance_rows(instances: Sequence[InstanceInfo]) -> list[tuple[object, ...]]:
    return [
        tuple(_activity(instance) if key == "state" else instance.get(key) for key in _INSTANCE_KEYS)
        for instance in instances
    ]


def _activity(instance: InstanceInfo) -> str:
    """The state, and for how long if that may matter: one that hangs is BUSY for ever."""
    busy_s = instance.get("busy_since_s") or 0.0
    return f"{instance.get('state', '')}{f' {figures.seconds(busy_s)}' if busy_s >= 1 else ''}"


def _tensor_rows(info: ModelInfo) -> list[tuple[object, ...]]:
    sides: list[tuple[str, list[TensorInfo]]] = [("input", info.get("inputs", [])), ("output", info.get("outputs", []))]
    return [(side, t["name"], t["datatype"], t["shape"]) for side, tensors in sides for t in tensors]


def _log_line(record: LogRecord) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(record.get("time", 0.0)))
    stream = record.get("stream", "")
    kind = record.get("level", "") if stream == "log" else stream
    request = f"[{record['request']}] " if record.get("request") else ""
    return f"{clock}  {record.get('instance', '')}  {kind:<6}  {request}{record.get('text', '').rstrip()}"
