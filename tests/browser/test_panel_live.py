"""The side panel with a real engine and real stubs behind it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab
from tests.browser.panel import choose, figure, open_panel, picture, press, row

NAME = "panel_adder"

SOURCE = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        print("adding <b>one</b>")
        tensors = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array + 1)]) for array in tensors]
"""

CONFIG = """\
backend: "python"
max_batch_size: 8
input [{ name: "INPUT0" data_type: TYPE_FP32 dims: [ 2 ] }]
output [{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 2 ] }]
"""

INFER = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


def post(lab: Lab, path: str, body: object) -> str:
    request = urllib.request.Request(
        f"{lab.url}/pyserve/{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"token {lab.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        content: bytes = response.read()
        return content.decode()


def deploy(lab: Lab, source: str = SOURCE) -> None:
    origin = {"notebook": str(lab.root / "live.ipynb")}
    events = post(lab, f"api/models/{NAME}/deploy", {"source": source, "config": CONFIG, "origin": origin})
    assert json.loads(events.splitlines()[-1])["event"] == "ready"


@pytest.fixture
def model(lab: Lab) -> Iterator[str]:
    """The only one, whatever other tests have left behind."""
    for name in {item["name"] for item in json.loads(post(lab, "v2/repository/index", {}))}:
        post(lab, f"api/models/{name}/undeploy", {"delete": True})
    deploy(lab)
    yield NAME
    post(lab, f"api/models/{NAME}/undeploy", {"delete": True})


@pytest.fixture
def panel(lab: Lab, page: Page, model: str) -> Locator:
    lab.open(page)
    panel = open_panel(page)
    expect(row(panel, model)).to_contain_text("READY", timeout=20_000)
    return panel


def confirm(page: Page, label: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()


def pid(instance: Locator) -> int:
    expect(instance).to_contain_text(re.compile(r"pid \d+"))
    shown = re.search(r"pid (\d+)", instance.inner_text())
    assert shown is not None
    return int(shown[1])


def new_process(panel: Locator, before: int) -> None:
    instance = row(panel, f"{NAME}_0")
    expect(instance).not_to_contain_text(f"pid {before} ", timeout=20_000)
    expect(instance).to_contain_text(re.compile(r"READY.*pid \d+", re.DOTALL), timeout=20_000)


def test_counts_requests_as_they_come(panel: Locator, lab: Lab, model: str) -> None:
    instance = row(panel, f"{model}_0")
    expect(instance).to_contain_text("0 requests")
    expect(instance).to_contain_text("live.ipynb")
    answer = json.loads(post(lab, f"v2/models/{model}/infer", INFER))
    assert answer["outputs"][0]["data"] == [2, 3]
    expect(instance).to_contain_text("1 request")


def test_measures_the_process(panel: Locator, page: Page, model: str) -> None:
    choose(panel, f"{model}_0")
    expect(figure(panel, "Memory (PSS)")).to_contain_text("MiB")
    expect(figure(panel, "Threads")).to_have_text(re.compile(r"\d"))
    expect(figure(panel, "GPU memory")).not_to_be_empty()
    panel.get_by_role("tab", name="Plots").click()
    expect(panel.get_by_role("img", name=re.compile(r"^Memory: .*MiB"))).to_be_visible()
    picture(page, "live_plots")


def test_calls_the_model_and_shows_what_it_printed(panel: Locator, page: Page, model: str) -> None:
    choose(panel, model, "Try it")
    panel.get_by_text("Request id and parameters").click()
    panel.get_by_role("textbox", name="Request id").fill("by-hand")
    panel.get_by_role("textbox", name="INPUT0").fill("[[1, 2], [3, 4]]")
    press(panel, "Infer")
    expect(panel.locator("pre")).to_contain_text("[ 2, 3, 4, 5 ]")
    panel.get_by_role("tab", name="Logs").click()
    expect(panel.get_by_role("log")).to_contain_text("adding <b>one</b>")
    panel.get_by_role("button", name="by-hand").click()
    expect(panel.get_by_role("log")).to_contain_text("adding <b>one</b>")
    picture(page, "live_logs")


def test_unload_ends_it_and_load_brings_it_back(panel: Locator, page: Page, model: str) -> None:
    choose(panel, model)
    press(panel, "Unload")
    confirm(page, "Unload")
    expect(panel.get_by_role("treeitem", name=re.compile("_0$"))).to_have_count(0)
    press(panel, "Load a model")
    confirm(page, "Load")
    expect(row(panel, f"{model}_0")).to_contain_text("READY", timeout=20_000)


def test_shows_where_the_process_is(panel: Locator, page: Page, model: str) -> None:
    choose(panel, f"{model}_0", "Stack")
    press(panel, "Dump the stacks")
    expect(panel.locator("pre")).to_contain_text(re.compile("hread"))


@pytest.mark.parametrize("target", ["model", "instance"])
def test_restart_brings_a_new_process(panel: Locator, page: Page, model: str, target: str) -> None:
    before = pid(row(panel, f"{model}_0"))
    choose(panel, model if target == "model" else f"{model}_0")
    press(panel, "Restart")
    confirm(page, "Restart")
    new_process(panel, before)


def test_kill_brings_a_new_process(panel: Locator, page: Page, model: str) -> None:
    before = pid(row(panel, f"{model}_0"))
    choose(panel, f"{model}_0")
    press(panel, "Kill")
    confirm(page, "Kill")
    new_process(panel, before)
    expect(figure(panel, "Last exit")).to_contain_text("9")


def test_scales(panel: Locator, page: Page, model: str) -> None:
    choose(panel, model)
    press(panel, "Scale…")
    page.get_by_role("dialog").get_by_role("spinbutton").fill("2")
    confirm(page, "Scale")
    expect(row(panel, model)).to_contain_text("2 instances", timeout=20_000)
    expect(panel.get_by_role("treeitem", name=re.compile(rf"^{model}_\d"))).to_have_count(2)


def test_drains_and_resumes(panel: Locator, page: Page, model: str) -> None:
    choose(panel, model)
    press(panel, "Drain")
    expect(row(panel, model)).to_contain_text("DRAINING")
    panel.get_by_role("tab", name="Try it").click()
    press(panel, "Infer")
    expect(panel.get_by_role("alert")).not_to_be_empty()
    press(panel, "Resume")
    expect(row(panel, model)).to_contain_text("READY")
    press(panel, "Infer")
    expect(panel.locator("pre")).to_contain_text("OUTPUT0")


def test_rolls_back(panel: Locator, page: Page, lab: Lab, model: str) -> None:
    deploy(lab, SOURCE.replace("one", "1"))
    expect(row(panel, "version 2")).to_contain_text("READY", timeout=20_000)
    choose(panel, model)
    press(panel, "Roll back…")
    confirm(page, "Roll Back")
    expect(row(panel, "version 3")).to_contain_text("READY", timeout=20_000)


def test_shows_a_crash_and_what_came_after(panel: Locator, page: Page, lab: Lab, model: str) -> None:
    deploy(lab, SOURCE.replace('print("adding <b>one</b>")', "import os; os.kill(os.getpid(), 11)"))
    expect(row(panel, "version 2")).to_contain_text("READY", timeout=20_000)
    before = pid(row(panel, f"{model}_0"))
    choose(panel, model, "Try it")
    press(panel, "Infer")
    expect(panel.get_by_role("alert")).to_contain_text("not healthy")
    new_process(panel, before)
    choose(panel, f"{model}_0", "Details")
    expect(figure(panel, "Restarts")).to_have_text("1")
    picture(page, "live_crash")


def test_lets_a_debugger_in(panel: Locator, page: Page, model: str) -> None:
    choose(panel, f"{model}_0")
    press(panel, "Debug")
    expect(figure(panel, "Debugger")).to_contain_text(re.compile(r"port \d+"), timeout=20_000)
    press(panel, "End debugging")
    expect(panel.get_by_role("button", name="Debug", exact=True)).to_be_visible(timeout=20_000)
