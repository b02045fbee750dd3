"""Where models are reached, as links to click: the Jupyter server's pages, the engine's ports, JupyterLab's panel."""

from __future__ import annotations

from urllib.parse import quote

from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.display import EngineView, ServedModel, View
from jupyter_pyserve.notebook.markup import Markup, columns, command_button, element, link, table
from jupyter_pyserve.notebook.payloads import EngineInfo

#: Of the labextension; it takes no arguments.
SHOW_PANEL = "pyserve:show-panel"
_HEADER = ("what", "address")


class Addresses(View):
    """The addresses of one model, or of the engine and each of its models."""

    def __init__(self, what: ServedModel | EngineView, address: Address) -> None:
        self._what = what
        self._base = address.url
        self._socket = address.http_socket

    def links(self) -> list[tuple[str, str]]:
        """Label and address of each."""
        if isinstance(self._what, ServedModel):
            return self._of_model(self._what.name, self._what.engine)
        engine = self._what.status["engine"]
        pages = {"server": "/v2", "description (OpenAPI)": "/v2/openapi.json"}
        found = [(label, f"{base}{path}") for base in self._bases(engine) for label, path in pages.items()]
        ports = {"gRPC": "grpc_url", "metrics": "metrics_url"}
        found += [(label, str(engine.get(key))) for label, key in ports.items() if engine.get(key)]
        names = self._what.names()
        return [*found, *(("model " + name, f"{base}{_path(name)}") for base in self._bases(engine) for name in names)]

    def html(self) -> Markup:
        rows = [(label, link(where, where)) for label, where in self.links()]
        panel = element("div", command_button("Served Models", SHOW_PANEL), ", the panel of JupyterLab")
        return element("div", panel, table(_HEADER, rows))

    def plain(self) -> str:
        rows = [*self.links(), *([("Unix socket", str(self._socket))] if self._socket is not None else [])]
        return columns(map(str.upper, _HEADER), rows)

    def _of_model(self, name: str, engine: EngineInfo) -> list[tuple[str, str]]:
        pages = {"metadata": "", "config": "/config", "statistics": "/stats", "ready": "/ready"}
        found = [(label, f"{base}{_path(name)}{page}") for base in self._bases(engine) for label, page in pages.items()]
        return [*found, *([("gRPC", str(engine["grpc_url"]))] if engine.get("grpc_url") else [])]

    def _bases(self, engine: EngineInfo) -> list[str]:
        """The Jupyter server's pages open in a browser that is signed in; the engine's port asks for the token."""
        return list(dict.fromkeys(base for base in (self._base, engine.get("http_url")) if base))


def _path(name: str) -> str:
    return f"/v2/models/{quote(name, safe='')}"
