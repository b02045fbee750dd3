"""Arrays of this kernel that models map instead of copying: made once, sealed, handed to the engine, offered again to
the next one.

Owns the memory on the kernel's side: an array stays shared until `unshare`, or the kernel's end.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.notebook.control import Control

if TYPE_CHECKING:
    from jupyter_pyserve.notebook.arrays import Array
    from jupyter_pyserve.notebook.client import Client

_STEP_NBYTES = 1 << 30
#: In the reason of a model that asked for what nobody shared.
_LACKING = "no shared array"


@dataclass(slots=True, kw_only=True)
class _Shared:
    name: str
    array: Array
    original: weakref.ref[Array] | None
    fd: int = field(repr=False)
    #: The lane on which the engine was given it.
    lane: object = None

    def __del__(self) -> None:
        os.close(self.fd)


_shared: dict[str, _Shared] = {}


def share(client: Client, name: str, array: object) -> Array:
    """Put a copy of `array` where every process of every model can map it; that copy, which can't be changed."""
    import numpy as np

    given = np.asarray(array)
    if given.dtype.kind not in "biufc":
        raise PyServeError(Code.INVALID_ARG, f"arrays of {given.dtype} can't be shared: numbers and booleans can")
    if not given.nbytes:
        raise PyServeError(Code.INVALID_ARG, f"array '{name}' is empty: there is nothing to share")
    made = _make(name, np.ascontiguousarray(given, given.dtype.newbyteorder("=")))
    if isinstance(array, np.ndarray):
        made.original = weakref.ref(array)
    _offer(_lane(client), made)
    _shared[name] = made
    return made.array


def unshare(client: Client, name: str) -> None:
    """Stop sharing it; models that map it keep it until they are unloaded."""
    if _shared.pop(name, None) is None:
        known = ", ".join(sorted(_shared)) or "none"
        raise PyServeError(Code.NOT_FOUND, f"this kernel shares no array '{name}' (it shares: {known})")
    try:
        _lane(client).ask("unshare", name=name)
    except PyServeError as error:
        if error.code is not Code.NOT_FOUND:  # an engine that was started since has never heard of it
            raise


def forget() -> None:
    """In a forked child: what is shared, its parent shares."""
    _shared.clear()


def offer_again(client: Client) -> None:
    """Give what is shared to an engine that was started since."""
    if _shared:
        greet(client.connection, client.fresh_lane())


def greet(connection: Connection, lane: Any) -> None:
    """An engine that has not heard of what is shared gets it, and loads what it could not load without."""
    unknown = [item for item in list(_shared.values()) if item.lane is not lane]
    if not unknown or not hasattr(lane, "ask"):
        return
    was_known = any(item.lane is not None for item in unknown)
    for item in unknown:
        _offer(lane, item)
    if was_known:
        _load_what_lacked_it(Control(connection))


def _load_what_lacked_it(control: Control) -> None:
    for info in control.status()["models"]:
        if info["state"] == "UNAVAILABLE" and _LACKING in info.get("reason", ""):
            with contextlib.suppress(PyServeError):  # it says why in its status
                control.load(info["name"])


def name_of(value: object) -> str | None:
    """Under which name a value of this kernel is shared; an error when it is not what was shared any more."""
    import numpy as np

    for item in list(_shared.values()):
        if value is item.array:
            return item.name
        if value is not None and item.original is not None and value is item.original():
            if not np.array_equal(item.array, np.asarray(value), equal_nan=item.array.dtype.kind in "fc"):
                text = f'has changed since it was shared: call pyserve.share("{item.name}", …) again'
                raise PyServeError(Code.INVALID_ARG, text)
            return item.name
    return None


def array_of(name: str) -> Array | None:
    """What this kernel shares under a name."""
    found = _shared.get(name)
    return None if found is None else found.array


def _make(name: str, array: Array) -> _Shared:
    import numpy as np

    if not hasattr(os, "memfd_create"):
        raise PyServeError(Code.UNSUPPORTED, "shared arrays need Linux")
    fd = os.memfd_create("pyserve-shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        data = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type] # older numpy stubs
        written = 0
        while written < data.nbytes:
            written += os.write(fd, data[written : written + _STEP_NBYTES])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        mapping = mmap.mmap(fd, array.nbytes, access=mmap.ACCESS_READ)
    except OSError as error:
        os.close(fd)
        text = f"no memory for array '{name}' of {array.nbytes} bytes: {error}"
        raise PyServeError(Code.UNAVAILABLE, text) from error
    except BaseException:
        os.close(fd)
        raise
    view = np.frombuffer(mapping, array.dtype).reshape(array.shape)
    return _Shared(name=name, array=view, original=None, fd=fd)


def _offer(lane: Any, item: _Shared) -> None:
    lane.ask("share", (item.fd,), name=item.name, dtype=item.array.dtype.str, shape=list(item.array.shape))
    item.lane = lane


def _lane(client: Client) -> Any:
    lane = client.fresh_lane()
    if not hasattr(lane, "ask"):
        text = "arrays can be shared with an engine on this machine only, and this kernel reaches it over HTTP"
        raise PyServeError(Code.UNSUPPORTED, text)
    return lane
