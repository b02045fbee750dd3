"""A JupyterLab server of its own for the tests, and the ways to wait for it that proved reliable.

It shares nothing with the user's Jupyter: configuration, data, runtime files, settings and workspaces live in a
temporary folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

BASE_URL = "/user/tester/"  # not the root, so that a URL that forgets it fails
BUNDLE = Path(__file__).resolve().parents[2] / "jupyter_pyserve" / "labextension"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
LOAD_TIMEOUT_MS = 30_000

_CONFIG = """\
c.LabApp.expose_app_in_browser = True
c.LabApp.extension_manager = "readonly"
c.LabApp.extra_labextensions_path = {extensions!r}
c.LabApp.user_settings_dir = {settings!r}
c.LabApp.workspaces_dir = {workspaces!r}
c.ServerApp.base_url = {base_url!r}
c.ServerApp.root_dir = {root!r}
c.ServerApp.terminals_enabled = False
c.IdentityProvider.token = {token!r}
"""

_QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A running server."""

    port: int
    token: str
    root: Path
    log: Path

    @property
    def url(self) -> str:
        """The server's base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}{BASE_URL.rstrip('/')}"

    def page_url(self, notebook: str = "") -> str:
        tree = f"/tree/{urllib.parse.quote(notebook)}" if notebook else ""
        return f"{self.url}/lab{tree}?token={self.token}&reset"

    def open(self, page: Page, notebook: str = "") -> None:
        """Loads JupyterLab, with a notebook of `root` if one is named, and waits until it can be used."""
        page.goto(self.page_url(notebook), wait_until="domcontentloaded")
        content = page.locator(".jp-NotebookPanel" if notebook else ".jp-Launcher").first
        expect(content).to_be_visible(timeout=LOAD_TIMEOUT_MS)
        expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=LOAD_TIMEOUT_MS)


def execute(page: Page, command: str) -> None:
    """Runs a JupyterLab command."""
    page.evaluate("command => window.jupyterapp.commands.execute(command)", command)


def notebook_ready(page: Page) -> None:
    """Waits for the open notebook. A kernel that merely looks idle may lose the first cell, so its info is awaited."""
    page.evaluate(
        """async () => {
            const { context, sessionContext } = window.jupyterapp.shell.currentWidget;
            await context.ready;
            await sessionContext.ready;
            await sessionContext.session.kernel.info;
        }"""
    )


def run_all_cells(page: Page) -> None:
    """Runs the open notebook."""
    notebook_ready(page)
    execute(page, "notebook:run-all-cells")


@contextlib.contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """A server with its files in `folder`; stopped, with everything it started, at the end."""
    lab = Lab(port=_free_port(), token=secrets.token_hex(16), root=folder / "root", log=folder / "server.log")
    lab.root.mkdir()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={lab.port}", "--ServerApp.port_retries=0", f"--config={_write_config(folder, lab)}"]
    with lab.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=lab.root, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_until_up(lab, process)
        yield lab
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _write_config(folder: Path, lab: Lab) -> Path:
    settings, workspaces = folder / "settings", folder / "workspaces"
    notification = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notification.parent.mkdir(parents=True)
    notification.write_text(json.dumps(_QUIET), encoding="utf-8")
    # What is built here, rather than what is installed in the environment.
    extensions = folder / "labextensions"
    extensions.mkdir()
    (extensions / "jupyter-pyserve").symlink_to(BUNDLE)
    config = folder / "lab_config.py"
    config.write_text(
        _CONFIG.format(
            settings=str(settings),
            workspaces=str(workspaces),
            extensions=[str(extensions)],
            base_url=BASE_URL,
            root=str(lab.root),
            token=lab.token,
        ),
        encoding="utf-8",
    )
    return config


def _environment(folder: Path) -> dict[str, str]:
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "PYSERVE_"))}
    return {**kept, **{variable: str(folder / name) for variable, name in names.items()}}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_until_up(lab: Lab, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{lab.url}/api/status?token={lab.token}", timeout=5).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"JupyterLab did not start:\n{lab.log.read_text(encoding='utf-8', errors='replace')}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
