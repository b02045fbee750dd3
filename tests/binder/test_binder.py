"""What Binder does with this repository, in a clean virtual environment: packages, postBuild, a server, the quickstart.

The panel's JavaScript is taken along as it was built here; everything else is installed anew, not editable.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jupyter.server_process import TOKEN, answers, wait_until
from tests.notebooks.kernel_session import run_notebook

ROOT = Path(__file__).parents[2]
BUNDLE = Path("jupyter_pyserve") / "labextension"
QUICKSTART = Path("notebooks") / "quickstart.ipynb"

pytestmark = pytest.mark.timeout(600)


def conda_packages() -> list[str]:
    """What environment.yml asks for beside Python itself."""
    text = (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")
    found = re.findall(r"^  - ([a-z].*)$", text, re.MULTILINE)
    return [package for package in found if not package.startswith(("conda-forge", "python=", "pip"))]


def copy_of_the_repository(folder: Path) -> Path:
    """What git has, as it is in the working tree, and the panel as it was built."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / BUNDLE, folder / BUNDLE)
    return folder


def environment(home: Path) -> dict[str, str]:
    """Nothing of this interpreter's, or of the user's Jupyter."""
    dropped = ("PYTHON", "PYSERVE_", "JUPYTER", "VIRTUAL_ENV", "IPYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    own = {"HOME": str(home), "PIP_CACHE_DIR": pip_cache(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return kept | own | {"PATH": f"{home / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def pip_cache() -> str:
    asked = [sys.executable, "-m", "pip", "cache", "dir"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an environment `env` and the repository `src`, after Binder's steps."""
    home = tmp_path_factory.mktemp("home")
    venv.create(home / "env", with_pip=True)
    source = copy_of_the_repository(home / "src")
    # Node is for building the panel, which has been built.
    packages = [package for package in conda_packages() if not package.startswith("nodejs")]
    for step in (["pip", "install", "--quiet", *packages], [str(source / "binder" / "postBuild")]):
        done = subprocess.run(step, cwd=source, env=environment(home), capture_output=True, text=True)
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    return home


@contextmanager
def lab(home: Path) -> Iterator[int]:
    """JupyterLab as Binder starts it: in the repository, with a token; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = ["jupyter-lab", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--no-browser"]
    command += ["--allow-root", f"--IdentityProvider.token={TOKEN}"]
    log = home / "lab.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=home / "src", env=environment(home), stdout=stream, stderr=stream)
    try:
        wait_until(lambda: answers(port) or process.poll() is not None, "the server answers")
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.terminate()
        process.wait()


def test_it_is_this_repository_that_was_installed(built: Path) -> None:
    asked = ["python", "-c", "import jupyter_pyserve; print(jupyter_pyserve.__file__)"]
    done = subprocess.run(asked, cwd=built, env=environment(built), check=True, capture_output=True, text=True)
    assert done.stdout.startswith(str(built / "env"))


def test_it_opens_on_the_quickstart_which_runs(built: Path) -> None:
    with lab(built) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/?token={TOKEN}") as page:
            assert page.url.partition("?")[0].endswith(f"/lab/tree/{QUICKSTART}")
            found = re.search(r'type="application/json">\s*(\{.*?\})\s*</script>', page.read().decode(), re.DOTALL)
        assert found is not None
        settings = json.loads(found[1])
        assert "jupyter-pyserve" in [item["name"] for item in settings["federated_extensions"]]
        runs = run_notebook(f"http://127.0.0.1:{port}", TOKEN, built / "src" / QUICKSTART)
    assert "my_python_model: READY" in runs["deploy"].text()
    assert [run.id for run in runs.values() if run.errors] == ["fail"]
