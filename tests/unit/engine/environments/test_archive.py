from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jupyter_pyserve.engine.environments import archive as subject
from jupyter_pyserve.engine.environments.archive import Abandoned, unpack
from jupyter_pyserve.engine.environments.archive_rules import Limits, Refused

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, data: bytes = b"", **facts: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in facts.items():
        setattr(info, key, value)
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    return member(name, type=kind, linkname=target)


def tar_bytes(members: Sequence[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., Path]:
    """Unpacks bytes; the folder."""

    def unpack_bytes(data: bytes, limits: Limits | None = None, abandoned: threading.Event | None = None) -> Path:
        (tmp_path / "archive").write_bytes(data)
        folder = tmp_path / "folder"
        folder.mkdir()
        with (tmp_path / "archive").open("rb") as file:
            unpack(file, str(folder), limits or Limits(), abandoned or threading.Event())
        return folder

    return unpack_bytes


ENVIRONMENT: tuple[Member, ...] = (
    member("./", type=tarfile.DIRTYPE, mode=0o755),
    member("bin/activate", b"exit 1\n", mode=0o644),
    member("bin/python3.9", b"\x7fELF" * 1000, mode=0o777, mtime=1_500_000_000),
    link("bin/python", "python3.9"),
    member("lib/a/b.py", b"x = 1\n", mode=0o000),
    link("lib/a/c.py", "lib/a/b.py", tarfile.LNKTYPE),
    member("empty", type=tarfile.DIRTYPE, mode=0o2000),
    member("lib/" + "n" * 180 + "/" + "m" * 180, b"long"),
)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("wrap", [gzip.compress, bytes], ids=["tar.gz", "tar"])
def test_an_environment_is_unpacked(unpacked: Callable[..., Path], form: int, wrap: Callable[[bytes], bytes]) -> None:
    folder = unpacked(wrap(tar_bytes(ENVIRONMENT, form)))
    interpreter = folder / "bin" / "python3.9"
    assert interpreter.read_bytes() == b"\x7fELF" * 1000
    assert interpreter.stat().st_mode & 0o7777 == 0o755
    assert interpreter.stat().st_mtime == 1_500_000_000
    assert os.readlink(folder / "bin" / "python") == "python3.9"
    assert (folder / "lib/a/b.py").stat().st_mode & 0o777 == 0o644
    assert (folder / "lib/a/b.py").samefile(folder / "lib/a/c.py")
    assert (folder / "empty").stat().st_mode & 0o7777 == 0o755
    assert (folder / "lib" / ("n" * 180) / ("m" * 180)).read_bytes() == b"long"


def test_large_files_come_whole(unpacked: Callable[..., Path]) -> None:
    data = random.Random(1).randbytes(3 * 1024 * 1024 + 7)
    folder = unpacked(gzip.compress(tar_bytes([member("a", data), member("b", b"next")])))
    assert (folder / "a").read_bytes() == data
    assert (folder / "b").read_bytes() == b"next"


def test_sparse_files_come_whole(unpacked: Callable[..., Path]) -> None:
    # A file of 2048 bytes of which 512 are in the archive, in GNU's old form.
    info = tarfile.TarInfo("sparse")
    info.size = 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398], header[398:410] = b"%011o\0" % 1024, b"%011o\0" % 512
    header[483:495] = b"%011o\0" % 2048
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    folder = unpacked(bytes(header) + b"x" * 512 + bytes(1024))
    assert (folder / "sparse").read_bytes() == bytes(1024) + b"x" * 512 + bytes(512)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([member("../escaped", b"x")], "Path contains '..'"),
        ([member("/{outside}/escaped", b"x")], "Path is absolute"),
        ([link("out", "/{outside}"), member("out/escaped", b"x")], "outside of the archive"),
        ([link("a/b/c", "../.."), link("out", "a/b/c/.."), member("out/escaped", b"x")], "outside of the archive"),
        ([link("bin/python", "/{outside}/escaped"), member("bin/python", b"x")], "a symbolic link already"),
        ([link("bin/python", "/{outside}"), member("bin/python/escaped", b"x")], "leads through a symbolic link"),
        ([link("stolen", "/{outside}/secret", tarfile.LNKTYPE)], "Path is absolute"),
        ([member("fifo", type=tarfile.FIFOTYPE)], "device"),
        ([member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)], "device"),
        ([member("disk", type=tarfile.BLKTYPE, devmajor=8)], "device"),
        ([member("unheard of", type=b"Z")], "device"),
        ([member("su", b"x", mode=0o4755)], "sets the user or group"),
    ],
)
def test_nothing_leaves_the_folder(
    unpacked: Callable[..., Path], tmp_path: Path, members: list[Member], why: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    for info, _ in members:
        info.name = info.name.replace("{outside}", str(outside).strip("/"))
        info.linkname = info.linkname.replace("{outside}", str(outside).strip("/"))
    with pytest.raises(Refused, match=why):
        unpacked(gzip.compress(tar_bytes(members)))
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert not (tmp_path / "escaped").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "folder", "outside"]


def test_a_bomb_is_refused_before_it_is_unpacked(unpacked: Callable[..., Path], tmp_path: Path) -> None:
    limits = Limits(ratio=100, harmless_nbytes=1 << 20)
    with pytest.raises(Refused, match="more than 100 times as large as the archive"):
        unpacked(gzip.compress(tar_bytes([member("zeros", bytes(8 << 20))])), limits)
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_bomb_behind_the_last_entry_is_refused(unpacked: Callable[..., Path]) -> None:
    limits = Limits(ratio=100, harmless_nbytes=1 << 20)
    with pytest.raises(Refused, match="more than 100 times"):
        unpacked(gzip.compress(tar_bytes([member("a")]) + bytes(8 << 20)), limits)


def test_a_header_that_asks_for_much_memory_is_refused(unpacked: Callable[..., Path]) -> None:
    path, _ = member("GNU's long name", type=tarfile.GNUTYPE_LONGNAME)
    path.size = subject._CHUNK_NBYTES + 1
    with pytest.raises(Refused, match="a header in it is longer"):
        unpacked(path.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


def test_a_size_below_zero_does_not_go_round_in_circles(unpacked: Callable[..., Path]) -> None:
    info, _ = member("a")
    info.size = -1024
    with pytest.raises(Refused):
        unpacked(tar_bytes([member("first", b"x" * 2000)])[:2560] + info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


WHOLE = gzip.compress(tar_bytes([member("a", random.Random(2).randbytes(5000)), member("b", b"x" * 100)]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip",
        b"nothing of the kind" * 100,
        gzip.compress(b"nothing of the kind" * 100),
        WHOLE[:20],
        WHOLE[:3000],
        WHOLE[:-4],
        WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:],
        WHOLE + b"trailing",
        gzip.decompress(WHOLE)[:3000],
        gzip.decompress(WHOLE)[:512] + b"x" * 9000,
        gzip.decompress(WHOLE)[:5632] + b"no header" * 500,
        b"\x1f\x8b",
        tar_bytes([member("a", pax_headers={"mtime": "inf"})]),
    ],
)
def test_what_is_damaged_is_refused(unpacked: Callable[..., Path], data: bytes) -> None:
    with pytest.raises(Refused, match=r"it is not a tar or tar\.gz archive, or is damaged|it is damaged"):
        unpacked(data)


def test_it_can_be_abandoned(unpacked: Callable[..., Path]) -> None:
    abandoned = threading.Event()
    abandoned.set()
    with pytest.raises(Abandoned):
        unpacked(WHOLE, None, abandoned)
