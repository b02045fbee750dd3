"""The memory that clients made under names of their own, and told the server of, whatever its kind.

Names are shared by all kinds, as on Triton. Knows nothing of requests.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion, Region, SystemRegion, invalid
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import ShmRef

_DISABLED = "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable."
#: What Triton's own processes use; ours have no names, but a client of both must not mix them up.
_RESERVED = "triton_python_backend_shm_region_"
_MAX_NAME_NBYTES = 1024
_CUDA_HANDLE_NBYTES = 64

KindT = TypeVar("KindT", bound=Region)


class Devices(Protocol):
    """Who reads and writes regions that lie on devices, since this process does not."""

    async def open(self, region: CudaRegion) -> bool:
        """Whether a region is what it is said to be; then it can be copied from and to."""

    def close(self, region: CudaRegion) -> Awaitable[object]:
        """Nothing will be copied from or to a region any more; when it is over, its client may free it."""

    def end(self) -> None:
        """No region is left, and none will come."""

    def fetch(self, region: CudaRegion, at: int, nbytes: int, to: tuple[Segment, int], done: Done) -> None:
        """Copy bytes from a region to host memory."""

    def store(self, region: CudaRegion, at: int, nbytes: int, source: tuple[Segment, int], done: Done) -> None:
        """Copy bytes from host memory to a region."""


#: Called when a copy is made, with what went wrong if something did.
Done = Callable[[str | None], object]


class ClientRegions:
    """The regions that clients have registered, by name."""

    def __init__(
        self, devices: Devices, *, enabled: bool, on_forgotten: Callable[[Region], None] = lambda region: None
    ) -> None:
        self.devices = devices
        self._enabled = enabled
        self._on_forgotten = on_forgotten
        self._regions: dict[str, Region] = {}
        #: Names of regions that are being opened.
        self._coming: set[str] = set()

    def require_enabled(self) -> None:
        """Raise where client shared memory is not allowed."""
        if not self._enabled:
            raise PyServeError(Code.UNSUPPORTED, _DISABLED)

    def register(self, name: str, key: str, offset: int, nbytes: int) -> None:
        """Take a region of system shared memory in; raises with Triton's texts."""
        self._require_new(name)
        if key.lstrip("/").startswith(_RESERVED) or (key and not key.strip("/")):
            raise PyServeError(Code.INVALID_ARG, f"invalid shm key '{key}'")
        if key and (not nbytes or len(name) > _MAX_NAME_NBYTES):
            raise invalid(name)
        self._regions[name] = SystemRegion(name, key, offset, nbytes)

    async def register_cuda(self, name: str, handle: bytes, device: int, nbytes: int) -> None:
        """Take a region on a GPU in, which is opened for that; raises with Triton's texts."""
        self._require_new(name)
        region = CudaRegion(name, handle, device, nbytes)
        self._coming.add(name)
        try:
            known = len(handle) == _CUDA_HANDLE_NBYTES and len(name) <= _MAX_NAME_NBYTES
            if not known or not 0 <= device < 1 << 31 or not await self.devices.open(region):
                raise PyServeError(Code.INVALID_ARG, "failed to register shared memory region: invalid args")
        finally:
            self._coming.discard(name)
        self._regions[name] = region

    def _require_new(self, name: str) -> None:
        self.require_enabled()
        if name in self._regions or name in self._coming:
            raise PyServeError(Code.ALREADY_EXISTS, f"shared memory region '{name}' already in manager")

    def unregister(self, name: str = "") -> None:
        """Forget a region of system shared memory, or all of them.

        One that a request uses is refused, and forgotten when it is used no more.
        """
        _, refusal = self._unregister(SystemRegion, name)
        if refusal is not None:
            raise refusal

    async def unregister_cuda(self, name: str = "") -> None:
        """The same of regions on GPUs; when this is over, their clients may free them."""
        forgotten, refusal = self._unregister(CudaRegion, name)
        for closing in [self.devices.close(region) for region in forgotten]:
            await closing
        if refusal is not None:
            raise refusal

    def _unregister(self, kind: type[KindT], name: str) -> tuple[list[KindT], PyServeError | None]:
        """Those that were forgotten, and what is to be said of others."""
        self.require_enabled()
        wanted = [name] if name else sorted(self._regions)
        found = [region for item in wanted if isinstance(region := self._regions.get(item), kind)]
        forgotten = [region for region in found if self._forget(region)]
        used = [region for region in found if region not in forgotten]
        if not used:
            return forgotten, None
        for region in used:
            region.on_unused = functools.partial(self._forget_late, region)
        text = f"Cannot unregister shared memory region '{name}', it is currently in use."
        if not name:
            names = " ,".join([region.name for region in used])
            text = f"Failed to unregister the following {kind.kind} shared memory regions: {names}"
        return forgotten, PyServeError(Code.INTERNAL, text)

    def _forget(self, region: Region) -> bool:
        if region.in_use or self._regions.get(region.name) is not region:
            return False
        del self._regions[region.name]
        self._on_forgotten(region)
        region.close()
        return True

    def _forget_late(self, region: Region) -> None:
        if self._forget(region) and isinstance(region, CudaRegion):
            self.devices.close(region)

    def status(self, name: str = "") -> list[dict[str, Any]]:
        """Rows of the status; all regions of system shared memory, or one that must exist."""
        return self._status(SystemRegion, name, "CUDA shared memory, not system shared memory")

    def cuda_status(self, name: str = "") -> list[dict[str, Any]]:
        """The same of regions on GPUs."""
        return self._status(CudaRegion, name, "system shared memory, not CUDA shared memory")

    def _status(self, kind: type[Region], name: str, other: str) -> list[dict[str, Any]]:
        self.require_enabled()
        if name and name not in self._regions:
            raise PyServeError(Code.NOT_FOUND, f"Unable to find {kind.kind} shared memory region: '{name}'")
        if name and not isinstance(self._regions[name], kind):
            raise PyServeError(Code.NOT_FOUND, f"The region named '{name}' is registered as {other}")
        found = [self._regions[known] for known in ([name] if name else sorted(self._regions))]
        return [region.row() for region in found if isinstance(region, kind)]

    def locate(self, place: ShmRef) -> tuple[Region, int]:
        """The region of a tensor, and where it begins, counted as in descriptors; it is all inside."""
        self.require_enabled()
        region = self._regions.get(place.region)
        if region is None:
            raise PyServeError(Code.NOT_FOUND, f"Unable to find shared memory region: '{place.region}'")
        if place.offset >= region.length:
            raise PyServeError(Code.INVALID_ARG, f"Invalid offset for shared memory region: '{place.region}'")
        if not place.nbytes or place.offset + place.nbytes > region.length:
            text = f"Invalid offset + byte size for shared memory region: '{place.region}'"
            raise PyServeError(Code.INVALID_ARG, text)
        return region, region.start + place.offset

    def close(self) -> None:
        """Forget all of them."""
        for region in self._regions.values():
            region.close()
        self._regions.clear()
        self.devices.end()
