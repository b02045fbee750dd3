"""Arrays that kernels share with models: sealed memory that the engine passes on and never maps.

Owns who refers to which. The kernel that shared an array does, until it takes it back or ends, and each model version
that has asked for it, until it is unloaded; what nobody refers to is forgotten. Sizes are checked against the memory.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.errors import Code, PyServeError

if TYPE_CHECKING:
    from jupyter_pyserve.engine.stubs.instance import Instance

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_DTYPE = re.compile(r"[<|][biufc](\d{1,2})")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MOST = 1000
_MOST_DIMS = 32


class Owner(Protocol):
    """A model version, as far as it matters here."""

    @property
    def stopping(self) -> bool:
        """Whether it is being unloaded, or is."""


class SharedArray:
    """One generation of an array."""

    def __init__(self, name: str, dtype: str, shape: Sequence[int], nbytes: int, fd: int) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = list(shape)
        self.nbytes = nbytes
        self.fd = fd
        self.kernel: object | None = None
        self.kernel_label = ""
        #: The instances that map it, by model version, by their names and processes: for a moment there may be two of a
        #: name. A version whose processes are gone for now stays.
        self.models: dict[Owner, set[tuple[str, int]]] = {}

    def facts(self) -> dict[str, Any]:
        """How it is described to a stub."""
        return {"dtype": self.dtype, "shape": self.shape, "nbytes": self.nbytes}

    def row(self) -> dict[str, Any]:
        """For showing."""
        kernel = [self.kernel_label] if self.kernel is not None else []
        instances = sorted({name for found in self.models.values() for name, _ in found})
        return {"name": self.name, **self.facts(), "references": kernel + instances}

    def close(self) -> None:
        """No process gets it any more; those that map it keep it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class SharedArrays:
    """All of them. By its name only the newest generation is found; older ones are those that models still map."""

    def __init__(self) -> None:
        self._newest: dict[str, SharedArray] = {}
        self._older: list[SharedArray] = []

    def serve(self, services: StubServices) -> None:
        """Answer stubs from now on."""
        services.offer({"shared": self._give}, self._ended)

    # -- kernels ------------------------------------------------------------------------------------------------------

    def share(self, kernel: object, label: str, facts: Mapping[str, Any], fd: int) -> None:
        """Take over a descriptor; it is the new generation of that name. Raises for what can't be an array."""
        try:
            name, dtype, shape, nbytes = _checked(facts, fd)
            old = self._newest.get(name)
            if old is not None and old.kernel not in (None, kernel) and old.kernel_label != label:
                text = f"shared array '{name}' is that of {old.kernel_label}: unshare it there, or take another name"
                raise PyServeError(Code.ALREADY_EXISTS, text)
            if old is None and len(self._newest) >= _MOST:
                raise PyServeError(Code.UNAVAILABLE, f"there are {_MOST} shared arrays already")
        except BaseException:
            os.close(fd)
            raise
        made = self._newest[name] = SharedArray(name, dtype, shape, nbytes, fd)
        made.kernel, made.kernel_label = kernel, label
        if old is not None:
            old.kernel = None
            old.close()
            self._older.append(old)
        self._sweep()

    def unshare(self, kernel: object, name: str) -> None:
        """The kernel does not refer to it any more."""
        found = self._newest.get(name)
        if found is None or found.kernel is not kernel:
            raise PyServeError(Code.NOT_FOUND, f"this kernel shares no array '{name}'")
        found.kernel = None
        self._sweep()

    def kernel_ended(self, kernel: object) -> None:
        """Nor to any other."""
        for array in self._newest.values():
            if array.kernel is kernel:
                array.kernel = None
        self._sweep()

    # -- stubs --------------------------------------------------------------------------------------------------------

    def _give(self, call: StubCall) -> None:
        name = str(call.arguments["name"])
        found = self._newest.get(name)
        if found is None:
            known = ", ".join(sorted(self._newest)) or "none"
            raise PyServeError(Code.NOT_FOUND, f"no kernel shares an array '{name}' (shared are: {known})")
        instance = call.instance
        for array in self._older:
            array.models.get(instance.owner, set()).discard(_known(instance))
        found.models.setdefault(instance.owner, set()).add(_known(instance))
        call.reply(shared=found.facts(), fds=(found.fd,))

    def _ended(self, instance: Instance) -> None:
        for array in (*self._newest.values(), *self._older):
            array.models.get(instance.owner, set()).discard(_known(instance))
        self._sweep()

    # -- for showing --------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """All of them, with who refers to them."""
        self._sweep()
        return [array.row() for array in (*self._newest.values(), *self._older)]

    def close(self) -> None:
        """Forget everything."""
        for array in self._newest.values():
            array.close()
        self._newest.clear()
        self._older.clear()

    def _sweep(self) -> None:
        """Forget what nobody refers to."""
        for array in (*self._newest.values(), *self._older):
            for owner in [owner for owner, names in array.models.items() if owner.stopping and not names]:
                del array.models[owner]
        for name, array in list(self._newest.items()):
            if array.kernel is None and not array.models:
                array.close()
                del self._newest[name]
        self._older = [array for array in self._older if any(array.models.values())]


def _known(instance: Instance) -> tuple[str, int]:
    return f"{instance.model}/{instance.name}", instance.pid


def _checked(facts: Mapping[str, Any], fd: int) -> tuple[str, str, list[int], int]:
    name, dtype, shape = facts["name"], facts["dtype"], facts["shape"]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise PyServeError(
            Code.INVALID_ARG,
            f"{name!r} can't be the name of a shared array: letters, digits, '_', '-' and '.', at most 100",
        )
    known = _DTYPE.fullmatch(dtype) if isinstance(dtype, str) else None
    if known is None:
        raise PyServeError(Code.INVALID_ARG, f"arrays of type {dtype} can't be shared: numbers and booleans can")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMS or not all(_is_size(size) for size in shape):
        raise PyServeError(Code.INVALID_ARG, "the shape of a shared array is a list of sizes from 1 up")
    nbytes = math.prod(shape) * int(known[1])
    try:
        sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS == _SEALS
        size = os.fstat(fd).st_size
    except OSError:
        sealed, size = False, -1
    if not sealed:
        raise PyServeError(Code.INVALID_ARG, "the memory of a shared array must be sealed against changes")
    if size < nbytes or not nbytes:
        raise PyServeError(Code.INVALID_ARG, f"a shared array of {nbytes} bytes needs as much memory, not {size}")
    return name, dtype, shape, nbytes


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 48
