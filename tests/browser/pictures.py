"""Takes the README's pictures of JupyterLab: `python -m tests.browser.pictures`, or `make pictures`.

Everything in them is real: a JupyterLab server, an engine, models and requests. Look at it before it is kept.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, BROWSERS
from tests.browser.lab import Lab, execute, notebook_ready, running_lab
from tests.browser.notebook import write_cells
from tests.browser.panel import choose, open_panel
from tests.browser.recording import Recording

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
SIDE_WIDTH_PX = 330

MODEL = """\
%%pyserve model scale --input X:FP32:-1 --output Y:FP32:-1 --instances 3
import triton_python_backend_utils as pb_utils

FACTOR = 2


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = request.inputs()[0].as_numpy()
        y = pb_utils.Tensor("Y", x * x.dtype.type(FACTOR))
        return pb_utils.InferenceResponse([y])"""
STORY = (
    "%load_ext jupyter_pyserve",
    MODEL,
    "%pyserve deploy scale",
    'import jupyter_pyserve as pyserve\n\nm = pyserve.model("scale")\nm([1, 2, 3])',
)


def run_cell(page: Page) -> None:
    """Runs the selected cell to its end and goes on to the next one."""
    execute(page, "notebook:run-cell-and-select-next")


def pause(page: Page, ms: int) -> None:
    page.wait_for_timeout(ms)


def widen(page: Page, width: int = SIDE_WIDTH_PX) -> None:
    """Makes the side bar as wide as the plots want it."""
    handle = page.locator("#jp-main-split-panel > .lm-SplitPanel-handle").first.bounding_box()
    assert handle is not None
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + 200
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(width + 34, y, steps=4)
    page.mouse.up()


@contextmanager
def requests_to(lab: Lab, model: str, tensor: str, shape: list[int]) -> Iterator[None]:
    """Somebody keeps asking, over HTTP, two at a time."""
    stop = threading.Event()
    values = {"name": tensor, "datatype": "FP32", "shape": shape, "data": [1.0, 2.0, 3.0]}
    headers = {"Authorization": f"token {lab.token}", "Content-Type": "application/json"}
    body = json.dumps({"inputs": [values]}).encode()

    def ask(number: int) -> None:
        turns = 0
        while not stop.wait(0.01 + 0.05 * ((turns // 150 + number) % 2)):
            request = urllib.request.Request(f"{lab.url}/pyserve/v2/models/{model}/infer", body, headers)
            urllib.request.urlopen(request, timeout=30).close()
            turns += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def screenshot(lab: Lab, page: Page) -> None:
    """The quickstart with its model in service, and the panel beside it."""
    shutil.copy(ROOT / "notebooks" / "quickstart.ipynb", lab.root)
    lab.open(page, "quickstart.ipynb")
    notebook_ready(page)
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    panel = open_panel(page)
    widen(page)
    cells = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text())["cells"]
    for _ in range(next(number for number, cell in enumerate(cells) if cell["id"] == "call") + 1):
        run_cell(page)
    with requests_to(lab, "my_python_model", "INPUT0", [1, 3]):
        choose(panel, "my_python_model", "Plots")
        page.locator(".jp-CodeCell", has_text="class TritonPythonModel").first.scroll_into_view_if_needed()
        page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.scrollToItem(4, 'start'); }")
        pause(page, 60_000)
        page.screenshot(path=IMAGES / "quickstart.png")


def record(lab: Lab, page: Page, recording: Recording) -> None:
    """From a cell to a served model, its figures, an edit, and the next version."""
    write_cells(lab.root / "scale.ipynb", *STORY)
    lab.open(page, "scale.ipynb")
    notebook_ready(page)
    panel = open_panel(page)
    widen(page)
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    run_cell(page)
    recording.say("A model is a cell: the class that Triton's Python backend runs")
    recording.hold(page, 2600)
    run_cell(page)
    recording.hold(page, 900)
    recording.say("One line puts it into service, in three processes")
    run_cell(page)
    recording.watch(page, 10, 250)
    recording.say("Call it from the notebook, over shared memory")
    run_cell(page)
    recording.hold(page, 2200)
    with requests_to(lab, "scale", "X", [3]):
        recording.say("… or from anywhere, over HTTP and gRPC; the panel shows what its processes do, live")
        choose(panel, "scale", "Plots")
        recording.watch(page, 24, 500, shown_ms=250)
        recording.say("Edit the cell while it serves …")
        edit(page, "FACTOR = 2", "FACTOR = 3")
        recording.hold(page, 1800)
        recording.say("… and deploy again: version 2 takes over, and no request fails")
        for _ in range(2):
            run_cell(page)
            recording.hold(page, 700)
        recording.watch(page, 4, 500, shown_ms=250)
        run_cell(page)
        recording.watch(page, 12, 500, shown_ms=250)
        recording.hold(page, 2500)


def edit(page: Page, old: str, new: str) -> None:
    """Selects the model's cell and types, as a user would."""
    page.evaluate("() => { const { content } = window.jupyterapp.shell.currentWidget; content.activeCellIndex = 1; }")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(1, 'start')")
    line = page.locator(".jp-CodeCell.jp-mod-active .cm-line", has_text=old)
    line.click()
    page.keyboard.press("End")
    for _ in range(len(old) - len("FACTOR = ")):
        page.keyboard.press("Backspace")
    page.keyboard.type(new.removeprefix("FACTOR = "), delay=60)


def main() -> None:
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        recording = Recording()
        record(lab, browser.new_page(viewport={"width": 1160, "height": 720}), recording)
        recording.save(IMAGES / "quickstart.gif")
        page = browser.new_page(viewport={"width": 1320, "height": 900}, device_scale_factor=1.5)
        screenshot(lab, page)
        browser.close()


if __name__ == "__main__":
    main()
