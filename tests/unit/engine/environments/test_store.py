from __future__ import annotations

import asyncio
import io
import os
import tarfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.environments import environment
from jupyter_pyserve.engine.environments import store as subject
from jupyter_pyserve.engine.environments.archive import unpack
from jupyter_pyserve.engine.environments.archive_rules import Limits
from jupyter_pyserve.engine.environments.environment import KernelSpec
from jupyter_pyserve.engine.environments.scratch import Scratch
from jupyter_pyserve.engine.environments.store import Environments, ModelEnvironment
from jupyter_pyserve.errors import PyServeError


def pack(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in ("bin/activate", *names):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    (tmp_path / "scratch").mkdir()
    return Scratch(str(tmp_path / "scratch"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return pack(tmp_path / "env.tar.gz")


def play(scratch: Scratch, work: Callable[[Environments], Awaitable[Any]], **options: Any) -> Any:
    """Do it with environments of our own, which leave nothing behind."""

    async def main() -> Any:
        environments = Environments(scratch, **options)
        try:
            return await work(environments)
        finally:
            await environments.close()
            assert os.listdir(scratch._parent) == []

    return asyncio.run(main())


def folders(scratch: Scratch) -> list[str]:
    return sorted(entry.path for entry in os.scandir(scratch.path) if entry.is_dir())


def prefix(lease: Any) -> str:
    return str(lease.environment.variables["VIRTUAL_ENV"])


def test_a_folder_is_used_where_it_is(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "activate").touch()
    (tmp_path / "link").symlink_to("env")

    async def work(environments: Environments) -> None:
        lease = await environments.acquire(str(tmp_path / "link"))
        assert prefix(lease) == str(tmp_path / "env")
        lease.release()
        assert (tmp_path / "env" / "bin" / "activate").exists()

    play(scratch, work)


def test_a_name_is_a_kernelspec(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "python3.9").touch()
    spec = KernelSpec(language="python", argv=(str(tmp_path / "python3.9"),), variables={})

    async def work(environments: Environments) -> None:
        assert (await environments.acquire("research")).environment.interpreter == spec.argv[0]
        with pytest.raises(PyServeError, match="Failed to get the canonical path for unknown"):
            await environments.acquire("unknown")

    play(scratch, work, find_kernelspec={"research": spec}.get)


def test_an_archive_is_unpacked_once_for_all(scratch: Scratch, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(archive)

    async def work(environments: Environments) -> None:
        leases = await asyncio.gather(
            *(environments.acquire(str(path)) for path in (archive, archive, tmp_path / "link"))
        )
        assert [prefix(lease) for lease in leases] == folders(scratch) * 3
        for lease in leases:
            lease.release()
        assert len(folders(scratch)) == 1  # the next model gets it at once
        assert prefix(await environments.acquire(str(archive))) == folders(scratch)[0]

    play(scratch, work)


@pytest.mark.parametrize("change", ["time", "size"])
def test_an_archive_that_changed_is_unpacked_beside_what_is_used(scratch: Scratch, archive: Path, change: str) -> None:
    async def work(environments: Environments) -> None:
        old = [await environments.acquire(str(archive)) for _ in range(2)]
        facts = os.stat(archive)
        if change == "time":
            os.utime(archive, ns=(facts.st_mtime_ns, facts.st_mtime_ns + 1))
        else:
            pack(archive, "more", "and", "more")
            os.utime(archive, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
        new = await environments.acquire(str(archive))
        assert prefix(new) != prefix(old[0])
        assert folders(scratch) == sorted([prefix(new), prefix(old[0])])
        old[0].release()
        old[0].release()  # once is enough
        await settled(environments)
        assert len(folders(scratch)) == 2
        old[1].release()
        await settled(environments)
        assert folders(scratch) == [prefix(new)]

    play(scratch, work)


async def settled(environments: Environments) -> None:
    """Wait until nothing is unpacked or deleted any more."""
    while environments._work:
        await asyncio.wait(environments._work)


def test_an_archive_that_is_not_used_any_more_goes_when_it_changed(scratch: Scratch, archive: Path) -> None:
    async def work(environments: Environments) -> None:
        (await environments.acquire(str(archive))).release()
        os.utime(archive, (1, 1))
        lease = await environments.acquire(str(archive))
        await settled(environments)
        assert folders(scratch) == [prefix(lease)]

    play(scratch, work)


def test_an_archive_that_is_refused_leaves_nothing_and_is_tried_again(scratch: Scratch, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a"))
        tar.addfile(tarfile.TarInfo("../b"))

    async def work(environments: Environments) -> None:
        for _ in range(2):
            with pytest.raises(PyServeError) as error:
                await environments.acquire(str(archive))
            assert error.value.message == (
                f"The archive {archive} cannot be used as an execution environment: Path contains '..' (entry '../b')"
            )
        await settled(environments)
        assert folders(scratch) == []
        facts = os.stat(archive)
        pack(archive)
        os.utime(archive, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
        assert len(prefix(await environments.acquire(str(archive)))) > 0

    play(scratch, work)


def test_an_archive_without_an_environment_in_it(scratch: Scratch, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("top/bin/activate"))

    async def work(environments: Environments) -> None:
        with pytest.raises(PyServeError, match=r"Path .*/0/bin/activate does not exist\. The Python environment"):
            await environments.acquire(str(archive))

    play(scratch, work)


def test_an_archive_that_is_too_large(scratch: Scratch, archive: Path) -> None:
    async def work(environments: Environments) -> None:
        with pytest.raises(PyServeError, match="its content is larger than 10 bytes"):
            await environments.acquire(str(archive))

    play(scratch, work, limits=Limits(nbytes=10))


def test_what_the_system_refuses_is_said(scratch: Scratch, archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x" * 300))

    async def work(environments: Environments) -> None:
        with pytest.raises(PyServeError, match="execution environment: File name too long"):
            await environments.acquire(str(archive))

    play(scratch, work)


def test_an_archive_that_vanishes_is_named(scratch: Scratch, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = environment.canonical

    def vanish(path: str) -> str:
        found = real(path)
        os.unlink(found)
        return found

    monkeypatch.setattr(environment, "canonical", vanish)

    async def work(environments: Environments) -> None:
        with pytest.raises(PyServeError) as error:
            await environments.acquire(str(archive))
        assert error.value.message == (
            f"The archive {archive} cannot be used as an execution environment: No such file or directory"
        )

    play(scratch, work)


def test_when_the_engine_ends_nothing_is_unpacked_any_more(scratch: Scratch, archive: Path) -> None:
    async def work(environments: Environments) -> None:
        environments.abandon()
        with pytest.raises(PyServeError, match="the engine ends"):
            await environments.acquire(str(archive))

    play(scratch, work)


def test_who_does_not_wait_any_more_disturbs_nobody(
    scratch: Scratch, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    async def work(environments: Environments) -> None:
        loop, entered = asyncio.get_running_loop(), asyncio.Event()

        def unpack_later(*arguments: Any) -> None:
            loop.call_soon_threadsafe(entered.set)
            gate.wait()
            unpack(*arguments)

        monkeypatch.setattr(subject, "unpack", unpack_later)
        first, second = (asyncio.ensure_future(environments.acquire(str(archive))) for _ in range(2))
        await entered.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert folders(scratch) == [prefix(await second)]

    play(scratch, work)


def test_what_stubs_run_is_written_once(scratch: Scratch) -> None:
    async def work(environments: Environments) -> None:
        paths = await asyncio.gather(*(environments.stub_archive() for _ in range(3)))
        assert set(paths) == {os.path.join(scratch.path, "stub.zip")}
        assert os.listdir(scratch.path) == ["stub.zip"]

    play(scratch, work)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    async def work() -> None:
        environments = Environments(Scratch(str(tmp_path / "gone")))
        for _ in range(2):
            with pytest.raises(PyServeError, match=r"What stubs run cannot be written: .*No such file or directory"):
                await environments.stub_archive()

    asyncio.run(work())


# -- of one model -----------------------------------------------------------------------------------------------------


class Zygote:
    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []

    async def spawn(self, title: Any, fds: Any, on_exit: Any, order: dict[str, Any], *, place: Any) -> int:
        self.orders.append(order)
        return 7


def test_a_model_keeps_its_environment_until_it_is_closed(scratch: Scratch, archive: Path) -> None:
    async def work(environments: Environments) -> None:
        zygote = Zygote()
        model = ModelEnvironment(environments, cast(Any, zygote), str(archive))
        assert model.interpreter == ""
        await model.prepare()
        os.utime(archive, (1, 1))
        await model.prepare()  # a restart is no reload
        assert await model.spawn((), (), lambda status: None) == 7
        (folder,) = folders(scratch)
        (order,) = zygote.orders
        assert order["interpreter"] == model.interpreter
        assert order["archive"] == os.path.join(scratch.path, "stub.zip")
        assert order["set"]["VIRTUAL_ENV"] == folder
        assert order["unset"] == ["PYTHONHOME"]
        lease = await environments.acquire(str(archive))
        assert len(folders(scratch)) == 2
        model.close()
        model.close()
        await settled(environments)
        assert folders(scratch) == [prefix(lease)]

    play(scratch, work)
