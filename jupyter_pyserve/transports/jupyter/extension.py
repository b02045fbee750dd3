"""The Jupyter server extension: puts the engine, its environment and the endpoints together, and takes them apart.

Composition only. Whatever stops the engine from being started is told to whoever asks for it, and never stops Jupyter.
"""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.extension.application import ExtensionApp

from jupyter_pyserve.transports.jupyter import environment, paths
from jupyter_pyserve.transports.jupyter.config import PyServe
from jupyter_pyserve.transports.jupyter.environment import ChildEnvironment
from jupyter_pyserve.transports.jupyter.events import EventsHandler
from jupyter_pyserve.transports.jupyter.handlers import EngineProxyHandler
from jupyter_pyserve.transports.jupyter.supervisor import EngineSupervisor, MissingEngine

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

LINUX_ONLY = "it needs Linux (memfd and Unix seqpacket sockets)"


class PyServeExtension(ExtensionApp):
    """Serves models written for Triton's Python backend from this Jupyter server."""

    # Also the name of the configuration file: `jupyter_pyserve_config.json`.
    name = "pyserve"
    description = __doc__ or ""
    classes = [*ExtensionApp.classes, PyServe]  # noqa: RUF012  as traitlets declares it

    engine: EngineSupervisor | MissingEngine = MissingEngine("the extension is not initialised")

    def initialize_settings(self) -> None:
        self._children = ChildEnvironment()
        for name in environment.NAMES:
            # A server that was started from a terminal of another one must not send its kernels to that one's engine.
            self._children.set(name, None)
        try:
            self.engine = self._make_engine()
        except OSError as error:
            self.log.warning("pyserve: no engine: %s", error)
            self.engine = MissingEngine(f"the inference engine is not available: {error}")

    def initialize_handlers(self) -> None:
        self.handlers.append((paths.EVENTS_ROUTE, EventsHandler, {"engine": self.engine}))
        self.handlers.extend((route, EngineProxyHandler, {"engine": self.engine}) for route in paths.ROUTES)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        # Only now is it certain which port the server got.
        self._announce_url(serverapp)
        self.engine.listen()

    async def stop_extension(self) -> None:
        self._children.restore()
        await self.engine.stop()

    def _make_engine(self) -> EngineSupervisor | MissingEngine:
        if sys.platform != "linux":
            return MissingEngine(f"the inference engine is not available: {LINUX_ONLY}")
        from jupyter_pyserve.transports.jupyter.runtime import RuntimeDir, default_parents, sweep

        server = self._server()
        parents = default_parents(jupyter_runtime_dir(), root_dir=server.root_dir)
        sweep(parents, self.log)
        runtime = RuntimeDir.create(parents)
        token = server.identity_provider.token or secrets.token_hex(24)
        self._children.set(environment.RUNTIME_DIR, str(runtime.path))
        self._children.set(environment.TOKEN, token)
        self._announce_url(server)
        spec = PyServe(parent=self, root_dir=server.root_dir).spec(
            runtime_dir=runtime.path, http_fd=runtime.http.fileno(), lane_fd=runtime.lane.fileno(), token=token
        )
        return EngineSupervisor(spec, runtime, self.log)

    def _announce_url(self, server: ServerApp) -> None:
        if not server.sock:
            scheme = "https" if server.certfile else "http"
            url = environment.server_url(scheme=scheme, ip=server.ip, port=server.port, base_url=server.base_url)
            self._children.set(environment.URL, url)

    def _server(self) -> ServerApp:
        if self.serverapp is None:
            raise RuntimeError("the extension is not linked to a server")
        return self.serverapp
