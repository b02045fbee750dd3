"""Unpacking the archive of an execution environment into an empty folder that nobody else can reach.

Reads tar and tar.gz as a stream, asks `archive_rules` about each entry before it writes it, and writes nothing through
a link. Knows nothing of environments or of who waits.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading
import zlib
from collections.abc import Callable
from typing import IO, cast

from jupyter_pyserve.engine.environments.archive_rules import Entry, Kind, Limits, Refused, Rules

#: What is read at once. No honest header is longer: the largest hold a path.
_CHUNK_NBYTES = 1 << 20

_KINDS = {
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARDLINK,
    **dict.fromkeys(tarfile.REGULAR_TYPES, Kind.FILE),
}


class Abandoned(Exception):
    """Nobody wants the content any more."""


def unpack(archive: io.BufferedReader, folder: str, limits: Limits, abandoned: threading.Event) -> None:
    """Unpack into `folder`, which is empty; raises `Refused`, `OSError` or `Abandoned`, and leaves a part behind."""
    nbytes = os.fstat(archive.fileno()).st_size
    zipped = archive.peek(2)[:2] == b"\x1f\x8b"
    source = cast("IO[bytes]", gzip.GzipFile(fileobj=archive, mode="rb") if zipped else archive)
    content = _Content(source, lambda position: limits.check(position, nbytes), abandoned)
    rules = Rules(limits, nbytes)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", content), mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would remember every entry
                _write(tar, member, rules, folder)
        content.finish()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise Refused(f"it is not a tar or tar.gz archive, or is damaged: {error}") from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, rules: Rules, folder: str) -> None:
    kind = _KINDS.get(member.type, Kind.OTHER)
    nbytes = member.size if kind is Kind.FILE else 0
    entry = Entry(name=member.name, kind=kind, nbytes=nbytes, mode=member.mode, target=member.linkname)
    inside = rules.admit(entry)
    path = os.path.join(folder, inside)
    os.makedirs(path if kind is Kind.FOLDER else os.path.dirname(path), mode=0o755, exist_ok=True)
    if kind is Kind.SYMLINK:
        os.symlink(member.linkname, path)
    elif kind is Kind.HARDLINK:
        os.link(os.path.join(folder, member.linkname), path)
    elif kind is Kind.FILE:
        _write_file(tar, member, path)


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    mode = 0o755 if member.mode & 0o100 else 0o644
    source = tar.extractfile(member)
    with open(path, "wb", opener=lambda name, _: os.open(name, flags, mode)) as file:
        while source is not None and (chunk := source.read(_CHUNK_NBYTES)):
            file.write(chunk)
    # Bytecode is believed only when it is as old as its source says.
    os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)


class _Content:
    """The bytes of a tar archive, forward only, counted, and never many at once."""

    def __init__(self, source: IO[bytes], check: Callable[[int], None], abandoned: threading.Event) -> None:
        self._source = source
        self._check = check
        self._abandoned = abandoned
        self._position = 0

    def read(self, nbytes: int = -1) -> bytes:
        """Up to `nbytes`; fewer only at the end."""
        if self._abandoned.is_set():
            raise Abandoned
        if not 0 <= nbytes <= _CHUNK_NBYTES:
            raise Refused(f"a header in it is longer than {_CHUNK_NBYTES} bytes")
        data = self._source.read(nbytes)
        self._position += len(data)
        self._check(self._position)
        return data

    def tell(self) -> int:
        """How much was read."""
        return self._position

    def seek(self, position: int) -> int:
        """Read up to `position`, which lies ahead."""
        if position < self._position:
            raise Refused("its entries overlap")
        while self._position < position:
            if not self.read(min(_CHUNK_NBYTES, position - self._position)):
                raise EOFError("unexpected end of data")
        return position

    def finish(self) -> None:
        """Read what follows the last entry, which says nothing, so that checksums are checked."""
        while data := self.read(_CHUNK_NBYTES):
            if data.strip(b"\0"):
                raise Refused("it is damaged: something that is no entry follows the last one")
