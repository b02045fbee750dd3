"""How kernels and terminals of this server find the engine: environment variables, set while the extension runs.

Owns three names in the process environment, which children inherit, and puts back what they were before.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

from jupyter_pyserve.transports.jupyter.paths import MOUNT

RUNTIME_DIR: Final = "PYSERVE_RUNTIME_DIR"
URL: Final = "PYSERVE_URL"
TOKEN: Final = "PYSERVE_TOKEN"  # noqa: S105  the variable's name, not a token
NAMES: Final = (RUNTIME_DIR, URL, TOKEN)

_ANY_ADDRESS: Final = frozenset({"", "*", "0.0.0.0", "::", "[::]"})  # noqa: S104  compared with, never bound


class ChildEnvironment:
    """What children of this process see of the engine."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._before: dict[str, str | None] = {}

    def set(self, name: str, value: str | None) -> None:
        """Gives a variable a value; None takes it away."""
        self._before.setdefault(name, self._environ.get(name))
        self._put(name, value)

    def restore(self) -> None:
        """Takes everything back; safe to call twice."""
        for name, value in self._before.items():
            self._put(name, value)
        self._before.clear()

    def _put(self, name: str, value: str | None) -> None:
        if value is None:
            self._environ.pop(name, None)
        else:
            self._environ[name] = value


def server_url(*, scheme: str, ip: str, port: int, base_url: str) -> str:
    """Where a process on this machine reaches the proxy, given what the server listens on."""
    host = "localhost" if ip in _ANY_ADDRESS else ip
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{scheme}://{host}:{port}{base_url.rstrip('/')}/{MOUNT}"
