from __future__ import annotations

import re
from typing import Any

import pytest

from jupyter_pyserve.engine.environments.archive_rules import Entry, Kind, Limits, Refused, Rules


def rules(archive_nbytes: int = 1000, **limits: int) -> Rules:
    return Rules(Limits(**limits), archive_nbytes)


def file(name: str, **facts: Any) -> Entry:
    return Entry(name=name, kind=Kind.FILE, **facts)


def folder(name: str, **facts: Any) -> Entry:
    return Entry(name=name, kind=Kind.FOLDER, **facts)


def symlink(name: str, target: str) -> Entry:
    return Entry(name=name, kind=Kind.SYMLINK, target=target)


def hardlink(name: str, target: str) -> Entry:
    return Entry(name=name, kind=Kind.HARDLINK, target=target)


def other(name: str) -> Entry:
    return Entry(name=name, kind=Kind.OTHER)


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ([folder("./")], ""),
        ([file("a")], "a"),
        ([file("./bin//python3.11")], "bin/python3.11"),
        ([file("...")], "..."),
        ([file("a/b"), file("a/c")], "a/c"),
        ([file("a/b"), folder("a", mode=0o2775)], "a"),
        ([folder("a"), folder("a/")], "a"),
        ([file("a"), file("a", nbytes=3)], "a"),
        ([symlink("lib/libz.so", "libz.so.1")], "lib/libz.so"),
        ([symlink("lib/x/y", "../../share/./y")], "lib/x/y"),
        ([symlink("a", ".")], "a"),
        ([symlink("bin/python", "python3.11")], "bin/python"),
        ([symlink("bin/python", "/usr/bin/python3.11")], "bin/python"),
        ([symlink("./bin/python3.12", "/opt/python/bin/python3")], "bin/python3.12"),
        ([file("pkgs/a"), hardlink("b/c", "./pkgs/a")], "b/c"),
        ([file("a"), hardlink("b", "a"), hardlink("c", "b")], "c"),
    ],
)
def test_what_environments_hold_is_admitted(entries: list[Entry], path: str) -> None:
    judge = rules()
    assert [judge.admit(entry) for entry in entries][-1] == path


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([file("")], "Path is empty"),
        ([file("a\0b")], "zero byte"),
        ([file("/etc/passwd")], "Path is absolute"),
        ([file("//a")], "Path is absolute"),
        ([file("../a")], "Path contains '..'"),
        ([file("a/../../b")], "Path contains '..'"),
        ([folder("a/..")], "Path contains '..'"),
        ([symlink("a", "/etc")], "it links to '/etc', outside"),
        ([symlink("lib/python", "/usr/bin/python3")], "outside"),
        ([symlink("bin/pip", "/usr/bin/pip")], "outside"),
        ([symlink("bin/x/python", "/usr/bin/python3")], "outside"),
        ([symlink("bin/python/x", "/usr/bin/python3")], "outside"),
        ([symlink("a", "..")], "outside"),
        ([symlink("a/b", "../../c")], "outside"),
        ([symlink("a/b", "x/../../../c")], "outside"),
        # Behind a link, ".." is not where it seems to be.
        ([symlink("a/b/c", "../.."), symlink("m", "a/b/c/../x")], "outside"),
        ([symlink("a", "")], "target is empty"),
        ([symlink("a", "b\0c")], "zero byte"),
        # Writing through a link, whichever comes first.
        ([symlink("a", "b"), file("a/c")], "leads through a symbolic link, 'a'"),
        ([symlink("a", "b"), folder("a/c/d")], "leads through a symbolic link, 'a'"),
        ([symlink("a", "b"), symlink("a/c", "d")], "leads through"),
        ([file("a"), file("a/b")], "leads through a file, 'a'"),
        ([symlink("a", "b"), file("a")], "the same path is a symbolic link already"),
        ([symlink("a", "b"), symlink("a", "c")], "the same path is a symbolic link already"),
        ([symlink("a", "b"), folder("a")], "already"),
        ([file("a/b"), symlink("a", "/usr/bin")], "the same path is a folder already"),
        ([file("a"), symlink("a", "b")], "the same path is a file already"),
        ([file("x"), file("a"), hardlink("a", "x")], "the same path is a file already"),
        ([symlink(".", "a")], "the same path is a folder already"),
        ([hardlink("a", "/etc/passwd")], "Path is absolute"),
        ([hardlink("a", "../b")], "Path contains '..'"),
        ([hardlink("a", "b")], "it links to 'b', which is no file"),
        ([hardlink("a", "a")], "which is no file"),
        ([symlink("b", "c"), hardlink("a", "b")], "which is no file"),
        ([folder("b"), hardlink("a", "b")], "which is no file"),
        ([other("dev/sda")], "it is a device"),
        ([file("a", mode=0o4755)], "sets the user or group"),
        ([file("a", mode=0o2755)], "sets the user or group"),
        ([file("a", nbytes=-512)], "negative"),
    ],
)
def test_what_leads_out_is_refused(entries: list[Entry], why: str) -> None:
    judge = rules()
    for entry in entries[:-1]:
        judge.admit(entry)
    with pytest.raises(Refused, match=re.escape(why)) as refused:
        judge.admit(entries[-1])
    assert f"(entry '{entries[-1].name}')" in str(refused.value)


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(Refused) as refused:
        rules().admit(file("../" + "x" * 10_000))
    assert len(str(refused.value)) < 300


def test_only_so_many_entries() -> None:
    judge = rules(entries=2)
    judge.admit(file("a"))
    judge.admit(file("a"))
    with pytest.raises(Refused, match="more than 2 entries"):
        judge.admit(file("a"))


def test_only_so_many_bytes_together() -> None:
    judge = rules(nbytes=100)
    judge.admit(file("a", nbytes=60))
    with pytest.raises(Refused, match="larger than 100 bytes"):
        judge.admit(file("b", nbytes=41))


@pytest.mark.parametrize(("nbytes", "refused"), [(300, False), (1000, False), (1001, True)])
def test_only_so_much_larger_than_the_archive(nbytes: int, refused: bool) -> None:
    limits = Limits(ratio=10, harmless_nbytes=200)
    if refused:
        with pytest.raises(Refused, match="more than 10 times as large"):
            limits.check(nbytes, 100)
    else:
        limits.check(nbytes, 100)


def test_a_small_content_may_shrink_as_it_likes() -> None:
    Limits(ratio=10, harmless_nbytes=200).check(200, 1)
