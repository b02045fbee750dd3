"""What a request path under the Jupyter base URL means: where it goes on the engine, and what a user needs for it.

Pure rules over the raw, undecoded path. The engine matches raw paths too, so nothing can mean one thing here and
another thing there.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

MOUNT: Final = "pyserve"
#: The one place where a WebSocket may be opened.
EVENTS_ROUTE: Final = rf"/{MOUNT}/api/events"
ROUTES: Final = (rf"/{MOUNT}/v2(?:/.*)?", rf"/{MOUNT}/api(?:/.*)?", rf"/{MOUNT}/metrics")
RESOURCE: Final = "jupyter_pyserve"

READ: Final = "read"
WRITE: Final = "write"
EXECUTE: Final = "execute"

_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Everything else may make the engine run code that was not running before, and needs "execute".
_WRITING_PATHS: Final = re.compile(
    r"/v2/(?:"
    r"models/[^/]+(?:/versions/[0-9]+)?/(?:infer|generate|generate_stream|trace/setting)"
    r"|repository(?:/[^/]+)?/index"
    r"|(?:system|cuda)sharedmemory/(?:region/[^/]+/(?:un)?register|unregister)"
    r"|trace/setting"
    r"|logging"
    r")"
)
#: What clients have sent to models is not for everybody who may look.
_SECRET_PATHS: Final = re.compile(r"/api/recordings(?:/.*)?")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_DOT_SEGMENT: Final = re.compile(r"(?:\.|%2[eE]){1,2}")
# Jupyter's own parameters: what authenticates must not travel on, and the engine has no use for the others.
_IF_RUNNING: Final = "if_running"
_JUPYTER_PARAMETERS: Final = frozenset({"token", "_xsrf", "no_track_activity", _IF_RUNNING})


def engine_path(raw_path: str, base_url: str) -> str | None:
    """The path on the engine for a raw request path, or None when it is not one of the engine's."""
    prefix = f"{base_url.rstrip('/')}/{MOUNT}/"
    if not raw_path.startswith(prefix) or _PRINTABLE.fullmatch(raw_path) is None:
        return None
    rest = raw_path[len(prefix) :]
    segments = rest.split("/")
    if (segments[0] not in {"v2", "api"} and rest != "metrics") or "\\" in rest:
        return None
    if any(_DOT_SEGMENT.fullmatch(segment) for segment in segments):
        return None
    return f"/{rest}"


def engine_query(raw_query: str) -> str:
    """The query to pass on, with its leading question mark if there is anything left."""
    kept = [pair for pair in raw_query.split("&") if pair and _key(pair) not in _JUPYTER_PARAMETERS]
    query = "&".join(kept)
    return f"?{query}" if query and _PRINTABLE.fullmatch(query) is not None else ""


def starts_engine(raw_query: str) -> bool:
    """Whether the request is worth an engine; one that only looks at what runs says `if_running=1`."""
    return f"{_IF_RUNNING}=1" not in raw_query.split("&")


def action(method: str, path: str) -> str:
    """The action that a user must be authorised for: "read", "write" or "execute"."""
    if method in _READING_METHODS:
        return EXECUTE if _SECRET_PATHS.fullmatch(path) is not None else READ
    if method == "POST" and _WRITING_PATHS.fullmatch(path) is not None:
        return WRITE
    return EXECUTE


def is_activity(method: str) -> bool:
    """Whether the request is a user's doing; panels poll with GET, and must not keep an idle server alive."""
    return method not in _READING_METHODS


def _key(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])
