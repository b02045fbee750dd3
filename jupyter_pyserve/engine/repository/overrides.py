"""What a load request puts in place of the repository: a configuration, and files, in a directory of their own.

Owns these directories: one lives as long as a version that was loaded from it, and nothing is left of it afterwards.
Writing and removing block, so the registry has them done in a thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from jupyter_pyserve.errors import Code, PyServeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A whole configuration as JSON text, and files by their path inside the model's directory."""

    config: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, config: str | None, files: Mapping[str, bytes] | None) -> Override | None:
        """What the parameters of a load come to; raises for files without a configuration."""
        if config is not None:
            return cls(config=config, files=files or {})
        if files:
            raise PyServeError(Code.INVALID_ARG, "Load parameter 'config' must be specified for model file override")
        return None


class Homes:
    """The directories in which the files of load requests lie."""

    def __init__(self, parent: str | None = None) -> None:
        self._parent = parent
        self._held: dict[Hashable, str] = {}

    def lay_out(self, files: Mapping[str, bytes]) -> str:
        """Write files to a new directory, which is somebody's to `hold` or to `remove`; raises and leaves nothing."""
        home = tempfile.mkdtemp(prefix="pyserve-model-", dir=self._parent)
        try:
            for name, content in files.items():
                path = _inside(home, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content)
        except BaseException as error:
            self.remove(home)
            if isinstance(error, OSError):
                text = f"failed to open binary file for write {error.filename}: {error.strerror}"
                raise PyServeError(Code.INTERNAL, text) from error
            raise
        return home

    def hold(self, home: str, guests: Iterable[Hashable]) -> None:
        """Keep a directory while one of `guests` lives."""
        self._held.update(dict.fromkeys(guests, home))

    def leave(self, guest: Hashable) -> str | None:
        """A guest has ended; the directory that nobody needs any more with that, for `remove`."""
        home = self._held.pop(guest, None)
        return home if home is not None and home not in self._held.values() else None

    def remove(self, home: str) -> None:
        """Remove a directory with all that is in it."""
        shutil.rmtree(home, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        for home in {*self._held.values()}:
            self.remove(home)
        self._held.clear()


def _inside(home: str, name: str) -> str:
    path = os.path.normpath(os.path.join(home, name.lstrip("/")))
    with contextlib.suppress(ValueError):
        if "\0" not in name and os.path.commonpath((home, path)) == home != path:
            return path
    raise PyServeError(
        Code.INVALID_ARG,
        f"Invalid file parameter 'file:{name}' with normalized path '{path}' must stay within model directory.",
    )
