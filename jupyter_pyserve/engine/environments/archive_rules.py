"""What may be in the archive of an execution environment: a decision about each entry, before any of it is written.

Values in, verdicts out: no file is touched here. An archive is code, and will be run; what is refused is what would
make unpacking it write, or leave something, outside of the folder that it is unpacked into.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class Kind(enum.Enum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    OTHER = "device, pipe or the like"


class Refused(Exception):
    """An archive that is not unpacked; the text says why, and for which entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as the archive describes it; `target` is where a link leads."""

    name: str
    kind: Kind
    nbytes: int = 0
    mode: int = 0o644
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may unpack to. Real environments hold up to 200,000 files and shrink to a third or less."""

    entries: int = 500_000
    nbytes: int = 128 << 30
    #: How many times larger than the archive the content may be, once it is larger than `harmless_nbytes`.
    ratio: int = 100
    harmless_nbytes: int = 256 << 20

    def check(self, nbytes: int, archive_nbytes: int) -> None:
        """Refuse content of `nbytes` in an archive of `archive_nbytes`."""
        if nbytes > self.nbytes:
            raise Refused(f"its content is larger than {self.nbytes} bytes")
        if nbytes > self.harmless_nbytes and nbytes > self.ratio * archive_nbytes:
            raise Refused(f"its content is more than {self.ratio} times as large as the archive")


_SETS_ID = 0o6000
#: A virtual environment that is not a copy has these lead to the interpreter that it was made with.
_INTERPRETER = re.compile(r"bin/python[0-9.]*")


class Rules:
    """Judges the entries of one archive in their order."""

    def __init__(self, limits: Limits, archive_nbytes: int) -> None:
        self._limits = limits
        self._archive_nbytes = archive_nbytes
        self._nbytes = 0
        self._count = 0
        self._seen: dict[str, Kind] = {"": Kind.FOLDER}

    def admit(self, entry: Entry) -> str:
        """The path, below the folder, where this entry goes; raises `Refused`."""
        try:
            return self._admit(entry)
        except Refused as refused:
            raise Refused(f"{refused} (entry '{entry.name[:200]}')") from None

    def _admit(self, entry: Entry) -> str:
        path = _clean(entry.name)
        self._count += 1
        self._nbytes += entry.nbytes
        if self._count > self._limits.entries:
            raise Refused(f"it has more than {self._limits.entries} entries")
        if entry.nbytes < 0:
            raise Refused("its size is negative")
        self._limits.check(self._nbytes, self._archive_nbytes)
        self._check_parents(path)
        self._check_place(path, entry.kind)
        self._check_kind(path, entry)
        self._seen[path] = Kind.FILE if entry.kind is Kind.HARDLINK else entry.kind
        return path

    def _check_parents(self, path: str) -> None:
        """Nothing is written through a link: every folder on the way is one that this archive made."""
        folder = path.rpartition("/")[0]
        while folder and folder not in self._seen:
            self._seen[folder] = Kind.FOLDER
            folder = folder.rpartition("/")[0]
        if self._seen[folder] is not Kind.FOLDER:
            raise Refused(f"it leads through a {self._seen[folder].value}, '{folder}'")

    def _check_place(self, path: str, kind: Kind) -> None:
        before = self._seen.get(path)
        if before is not None and (before is not kind or kind not in (Kind.FILE, Kind.FOLDER)):
            raise Refused(f"the same path is a {before.value} already")

    def _check_kind(self, path: str, entry: Entry) -> None:
        if entry.kind is Kind.OTHER:
            raise Refused(f"it is a {entry.kind.value}")
        if entry.kind is Kind.FILE and entry.mode & _SETS_ID:
            raise Refused("it sets the user or group that runs it")
        if entry.kind is Kind.SYMLINK:
            _check_symlink(path, entry.target)
        elif entry.kind is Kind.HARDLINK and self._seen.get(_clean(entry.target)) is not Kind.FILE:
            raise Refused(f"it links to '{entry.target[:200]}', which is no file of this archive")


def _clean(name: str) -> str:
    """A name without what means nothing in it; empty for the folder itself."""
    if not name or "\0" in name:
        raise Refused("Path is empty or holds a zero byte")
    if name.startswith("/"):
        raise Refused("Path is absolute")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused("Path contains '..'")
    return "/".join(parts)


def _check_symlink(path: str, target: str) -> None:
    """A link stays inside; what it leads through may be links too, and all of them stay inside."""
    if not target or "\0" in target:
        raise Refused("its target is empty or holds a zero byte")
    if target.startswith("/"):
        if _INTERPRETER.fullmatch(path):
            return  # it is run, never written through
        raise Refused(f"it links to '{target[:200]}', outside of the archive")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    # Behind a name, which may be a link itself, ".." can lead anywhere.
    if climbs > path.count("/") or ".." in parts[climbs:]:
        raise Refused(f"it links to '{target[:200]}', outside of the archive")
