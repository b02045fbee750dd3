"""The archive that another interpreter runs: the stub and `pb_utils`, and nothing of the engine."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pyserve_stub

#: What models import by name.
_SURFACES = ("triton_python_backend_utils", "pyserve_share")


def write_stub_archive(path: str) -> None:
    """Write it, over what a try that failed may have left; its `__main__` is `pyserve_stub.entry`."""
    package = Path(pyserve_stub.__path__[0])
    with zipfile.ZipFile(path, "w") as archive:  # not compressed: it is read at every start
        archive.write(package / "entry.py", "__main__.py")
        for name in _SURFACES:
            surface = importlib.util.find_spec(name)
            assert surface is not None
            assert surface.origin is not None
            archive.write(surface.origin, f"{name}.py")
        for source in sorted(package.rglob("*.py")):
            archive.write(source, source.relative_to(package.parent).as_posix())
