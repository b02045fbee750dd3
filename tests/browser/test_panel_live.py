"""The side panel with a real engine and real stubs behind it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab

NAME = "panel_adder"

SOURCE = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
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


@pytest.fixture
def model(lab: Lab) -> Iterator[str]:
    events = post(lab, f"api/models/{NAME}/deploy", {"source": SOURCE, "config": CONFIG, "origin": {}})
    assert json.loads(events.splitlines()[-1])["event"] == "ready"
    yield NAME
    post(lab, f"api/models/{NAME}/undeploy", {"delete": True})


@pytest.fixture
def row(lab: Lab, page: Page, model: str) -> Locator:
    lab.open(page)
    page.get_by_role("tab", name="Served Models").click()
    row = page.get_by_role("region", name="Served models").get_by_role("listitem", name=model, exact=True)
    expect(row).to_contain_text("READY", timeout=20_000)
    return row


def pid(instance: Locator) -> int:
    shown = re.search(r"pid (\d+)", instance.inner_text())
    assert shown is not None
    return int(shown[1])


def test_counts_requests_as_they_come(row: Locator, lab: Lab, model: str) -> None:
    instance = row.get_by_role("listitem", name=f"{model}_0")
    expect(instance).to_contain_text("0 requests")
    answer = json.loads(post(lab, f"v2/models/{model}/infer", INFER))
    assert answer["outputs"][0]["data"] == [2, 3]
    expect(instance).to_contain_text("1 request")


def test_restart_brings_a_new_process(row: Locator, page: Page, model: str) -> None:
    instance = row.get_by_role("listitem", name=f"{model}_0")
    before = pid(instance)
    row.get_by_role("button", name="Restart").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(instance).not_to_contain_text(f"pid {before} ")
    expect(instance).to_contain_text(re.compile(r"READY.*pid \d+", re.DOTALL))


def test_unload_ends_it(row: Locator, page: Page) -> None:
    row.get_by_role("button", name="Unload").click()
    page.get_by_role("dialog").get_by_role("button", name="Unload").click()
    expect(row.get_by_role("listitem", name=re.compile("_0$"))).to_have_count(0)
