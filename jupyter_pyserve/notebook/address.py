"""Where the engine is, as seen from this process: its runtime directory, or a URL and a token.

Reads the environment it is given and looks whether sockets exist; opens none and speaks no protocol.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_pyserve.errors import Code, PyServeError

RUNTIME_DIR_VARIABLE = "PYSERVE_RUNTIME_DIR"
URL_VARIABLE = "PYSERVE_URL"
TOKEN_VARIABLE = "PYSERVE_TOKEN"  # noqa: S105 - a name, not a token

NO_ENGINE = (
    "no engine to talk to: neither PYSERVE_RUNTIME_DIR nor PYSERVE_URL leads to one. "
    "Start this kernel from a Jupyter server that has jupyter_pyserve, or call "
    "pyserve.connect(url='http://host:8888/pyserve', token=...)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One engine: a `runtime_dir` means it runs on this machine; the URL is how everybody else reaches it."""

    runtime_dir: Path | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def http_socket(self) -> Path | None:
        return None if self.runtime_dir is None else self.runtime_dir / "http.sock"

    @property
    def lane_socket(self) -> Path | None:
        return None if self.runtime_dir is None else self.runtime_dir / "lane.sock"

    def __str__(self) -> str:
        return str(self.http_socket) if self.http_socket is not None else str(self.url)


def find_engine(
    *,
    url: str | None = None,
    token: str | None = None,
    runtime_dir: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    exists: Callable[[Path], bool] = Path.exists,
) -> Address:
    """What was asked for explicitly wins; then the environment; its directory only if the engine is on this machine."""
    env = os.environ if environ is None else environ
    if url is not None:
        return Address(url=_checked_url(url), token=token if token is not None else env.get(TOKEN_VARIABLE))
    env_url = env.get(URL_VARIABLE) or None
    directory = _local_directory(runtime_dir, env.get(RUNTIME_DIR_VARIABLE), exists)
    if directory is None and env_url is None:
        raise PyServeError(Code.UNAVAILABLE, NO_ENGINE)
    return Address(
        runtime_dir=directory,
        url=None if env_url is None else _checked_url(env_url),
        token=token if token is not None else env.get(TOKEN_VARIABLE),
    )


def _local_directory(
    asked: str | os.PathLike[str] | None, inherited: str | None, exists: Callable[[Path], bool]
) -> Path | None:
    if asked is not None:
        if not exists(Path(asked) / "http.sock"):
            raise PyServeError(Code.UNAVAILABLE, f"no engine runs in '{asked}': there is no socket http.sock in it")
        return Path(asked)
    # A kernel on another machine inherits the variable, but not the directory: then the URL is the way.
    if inherited and exists(Path(inherited) / "http.sock"):
        return Path(inherited)
    return None


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port, or of brackets
        usable = False
    if not usable:
        raise PyServeError(Code.INVALID_ARG, f"'{url}' is not an http:// or https:// URL of an engine")
    return url.rstrip("/")
