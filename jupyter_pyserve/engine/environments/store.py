"""The execution environments of all models: each archive unpacked once, in a thread, and kept while it may be used.

An archive that has changed is unpacked beside what models still use of it. Knows nothing of models or processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine.environments import environment
from jupyter_pyserve.engine.environments.archive import Abandoned, unpack
from jupyter_pyserve.engine.environments.archive_rules import Limits, Refused
from jupyter_pyserve.engine.environments.environment import Environment, FindKernelSpec
from jupyter_pyserve.engine.environments.kernelspecs import find_kernelspec
from jupyter_pyserve.engine.environments.scratch import Scratch
from jupyter_pyserve.engine.environments.stub_archive import write_stub_archive
from jupyter_pyserve.engine.stubs.zygote import Zygote
from jupyter_pyserve.errors import Code, PyServeError

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Unpacked:
    """What was made of an archive as it was at a time; `users` are leases."""

    folder: str
    signature: tuple[int, int]
    work: asyncio.Future[None]
    users: int = 0
    outdated: bool = False


class Lease:
    """An environment that stays as it is until this is released."""

    def __init__(self, found: Environment, release: Callable[[], None]) -> None:
        self.environment = found
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """It is not used any more."""
        release, self._release = self._release, None
        if release is not None:
            release()


class Environments:
    """Finds environments, and owns the folder in which the engine makes some."""

    def __init__(
        self,
        scratch: Scratch | None = None,
        *,
        limits: Limits | None = None,
        find_kernelspec: FindKernelSpec = find_kernelspec,
    ) -> None:
        self._scratch = scratch or Scratch()
        self._limits = limits or Limits()
        self._find_kernelspec = find_kernelspec
        self._unpacked: dict[str, _Unpacked] = {}
        self._count = 0
        self._stub_archive: asyncio.Future[str] | None = None
        self._abandoned = threading.Event()
        self._work: set[asyncio.Future[None]] = set()

    async def acquire(self, path: str) -> Lease:
        """The environment that `path` (expanded) means; raises `PyServeError` when it cannot be used."""
        _log.info("Using Python execution env %s", path)
        surrounding = dict(os.environ)
        if await asyncio.to_thread(environment.is_name, path):
            found = await asyncio.to_thread(environment.from_kernelspec, path, self._find_kernelspec, surrounding)
            return Lease(found, lambda: None)
        real = await asyncio.to_thread(environment.canonical, path)
        if await asyncio.to_thread(os.path.isdir, real):
            return Lease(await asyncio.to_thread(environment.from_folder, real, surrounding), lambda: None)
        unpacked = await self._unpack(real)
        try:
            found = await asyncio.to_thread(environment.from_folder, unpacked.folder, surrounding)
        except BaseException:
            self._release(unpacked)
            raise
        return Lease(found, lambda: self._release(unpacked))

    async def stub_archive(self) -> str:
        """What another interpreter runs."""
        if self._stub_archive is None:
            self._stub_archive = asyncio.ensure_future(asyncio.to_thread(self._write_stub_archive))
        try:
            return await asyncio.shield(self._stub_archive)
        except OSError as error:
            self._stub_archive = None  # the next one tries anew
            raise PyServeError(Code.INTERNAL, f"What stubs run cannot be written: {error}") from error

    def _write_stub_archive(self) -> str:
        path = os.path.join(self._scratch.path, "stub.zip")
        write_stub_archive(path)
        return path

    def sweep(self) -> None:
        """Begin to delete what engines left that did not end by themselves."""
        self._run(asyncio.ensure_future(asyncio.to_thread(self._scratch.sweep)))

    def abandon(self) -> None:
        """Whoever waits for an archive gets an error; none is unpacked any more."""
        self._abandoned.set()

    async def close(self) -> None:
        """Delete everything, once nobody works on it."""
        self.abandon()
        if self._work:
            await asyncio.wait(self._work)
        await asyncio.to_thread(self.discard)

    def discard(self) -> None:
        """Delete everything now."""
        self.abandon()
        self._scratch.remove()

    # -- archives -----------------------------------------------------------------------------------------------------

    async def _unpack(self, archive: str) -> _Unpacked:
        signature = await asyncio.to_thread(_sign, archive)
        unpacked = self._unpacked.get(archive)
        if unpacked is None or unpacked.signature != signature:
            if unpacked is not None:
                self._outdate(archive)
            unpacked = self._unpacked[archive] = self._start(archive, signature)
        unpacked.users += 1
        try:
            await asyncio.shield(unpacked.work)
        except BaseException:
            if unpacked.work.done() and self._unpacked.get(archive) is unpacked:
                self._outdate(archive)  # the next one tries anew
            self._release(unpacked)
            raise
        return unpacked

    def _start(self, archive: str, signature: tuple[int, int]) -> _Unpacked:
        _log.info("Extracting Python execution env %s", archive)
        folder = os.path.join(self._scratch.path, str(self._count))
        self._count += 1
        work = asyncio.ensure_future(asyncio.to_thread(_unpack_into, archive, folder, self._limits, self._abandoned))
        self._run(work)
        return _Unpacked(folder, signature, work)

    def _outdate(self, archive: str) -> None:
        unpacked = self._unpacked.pop(archive)
        unpacked.outdated = True
        self._delete_if_unused(unpacked)

    def _release(self, unpacked: _Unpacked) -> None:
        unpacked.users -= 1
        self._delete_if_unused(unpacked)

    def _delete_if_unused(self, unpacked: _Unpacked) -> None:
        if unpacked.outdated and not unpacked.users:
            self._run(asyncio.ensure_future(asyncio.to_thread(shutil.rmtree, unpacked.folder, True)))

    def _run(self, work: asyncio.Future[None]) -> None:
        self._work.add(work)
        work.add_done_callback(self._work.discard)


def _sign(archive: str) -> tuple[int, int]:
    try:
        facts = os.stat(archive)
    except OSError as error:
        raise _unusable(archive, str(error.strerror)) from error
    return facts.st_mtime_ns, facts.st_size


def _unpack_into(archive: str, folder: str, limits: Limits, abandoned: threading.Event) -> None:
    try:
        os.mkdir(folder, 0o700)
        with open(archive, "rb") as file:
            unpack(file, folder, limits, abandoned)
    except Abandoned:
        text = "the engine ends"
    except Refused as refused:
        text = str(refused)
    except OSError as error:
        text = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
    else:
        return
    shutil.rmtree(folder, ignore_errors=True)
    raise _unusable(archive, text)


def _unusable(archive: str, text: str) -> PyServeError:
    return PyServeError(Code.INTERNAL, f"The archive {archive} cannot be used as an execution environment: {text}")


class ModelEnvironment:
    """The environment of one model version, in which its stubs are started."""

    def __init__(self, environments: Environments, zygote: Zygote, path: str) -> None:
        self._environments = environments
        self._zygote = zygote
        self._path = path
        self._lease: Lease | None = None
        self._order: dict[str, Any] = {}

    @property
    def interpreter(self) -> str:
        """The interpreter, once it is known."""
        return self._lease.environment.interpreter if self._lease is not None else ""

    async def prepare(self) -> None:
        """Find it, and unpack it if need be; does nothing when that is done."""
        if self._lease is not None:
            return
        archive = await self._environments.stub_archive()
        self._lease = await self._environments.acquire(self._path)
        found = self._lease.environment
        self._order = {
            "interpreter": found.interpreter,
            "archive": archive,
            "set": dict(found.variables),
            "unset": list(found.removed),
        }

    async def spawn(
        self,
        title: Sequence[str],
        fds: Sequence[int],
        on_exit: Callable[[int], None],
        *,
        place: Mapping[str, Any] | None = None,
    ) -> int:
        """As the zygote's, for this environment."""
        return await self._zygote.spawn(title, fds, on_exit, self._order, place=place)

    def close(self) -> None:
        """No stub is started any more, and none runs."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
