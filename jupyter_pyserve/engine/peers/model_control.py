"""Model control as stubs ask for it: what `load_model` and its kin in a model come to.

Owns how their arguments are read, as Triton reads them; what is loaded is the service's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.errors import Code, PyServeError

if TYPE_CHECKING:
    from jupyter_pyserve.engine.service import Service
    from jupyter_pyserve.engine.stubs.instance import Instance

_FILE = "file:"
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d{1,18})")


class ModelControl:
    """Answers stubs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def serve(self, services: StubServices) -> None:
        """Answer from now on."""
        services.offer({"load_model": self._load, "unload_model": self._unload, "is_model_ready": self._is_ready})

    async def _load(self, call: StubCall) -> None:
        given = call.arguments
        name, config = str(given["name"]), str(given["config"])
        files = {str(path): tuple(map(int, place)) for path, place in dict(given["files"]).items()}
        contents = _contents(call.instance, files)
        if not all(path.startswith(_FILE) for path in contents):
            raise PyServeError(Code.INTERNAL, f"failed to load '{name}', failed to poll from model repository")
        await self._service.load(
            name,
            config=config or None,
            files={path.removeprefix(_FILE): content for path, content in contents.items()},
        )
        call.reply()

    async def _unload(self, call: StubCall) -> None:
        name, unload_dependents = str(call.arguments["name"]), bool(call.arguments["unload_dependents"])
        await self._service.unload(name, unload_dependents=unload_dependents)
        call.reply()

    async def _is_ready(self, call: StubCall) -> None:
        name, version = str(call.arguments["name"]), str(call.arguments["version"])
        call.reply(ready=await self._ready(name, _version(version)))

    async def _ready(self, name: str, version: str) -> bool:
        try:
            return await self._service.is_model_ready(name, version)
        except PyServeError as error:
            if error.code in (Code.NOT_FOUND, Code.UNAVAILABLE):
                return False
            raise


def _contents(instance: Instance, files: Mapping[str, tuple[Any, ...]]) -> dict[str, bytes]:
    """The files that a stub has put into its arena; ValueError for memory that is not there."""
    contents = {}
    for path, (segment, offset, nbytes, _) in files.items():
        lies_in = instance.segments.get(segment)
        if not nbytes:
            contents[path] = b""
        elif lies_in is None or min(offset, nbytes) < 0 or offset + nbytes > lies_in.nbytes:
            raise ValueError("a file lies outside of the stub's memory")
        else:
            contents[path] = bytes(lies_in.view[offset : offset + nbytes])
    instance.release(list(files.values()))
    return contents


def _version(text: str) -> str:
    """A version from its text: what follows a number is overlooked."""
    found = _LEADING_NUMBER.match(text)
    if not text or (found is not None and int(found.group(1)) >= 0):
        return str(int(found.group(1))) if found is not None else ""
    details = "" if found is not None else " (details: stol)"
    raise PyServeError(
        Code.INVALID_ARG,
        f"failed to get model version from specified version string '{text}'{details}, "
        "version should be an integral value > 0",
    )
