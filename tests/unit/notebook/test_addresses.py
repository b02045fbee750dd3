from __future__ import annotations

import pytest

import jupyter_pyserve as pyserve
from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.addresses import Addresses
from tests.unit.notebook.fake_engine import ENGINE, MODEL, FakeEngine

BASE = "http://localhost:8888/base/pyserve"


def test_addresses_of_a_model(engine: FakeEngine) -> None:
    engine.models = [{**MODEL, "name": "a b"}]
    found = Addresses(pyserve.status("a b"), Address(url=BASE))
    assert ("metadata", f"{BASE}/v2/models/a%20b") in found.links()
    assert ("ready", f"{BASE}/v2/models/a%20b/ready") in found.links()
    assert ("statistics", "http://127.0.0.1:8000/v2/models/a%20b/stats") in found.links()
    html = found._repr_html_()
    assert f'href="{BASE}/v2/models/a%20b/config"' in html
    assert 'data-commandlinker-command="pyserve:show-panel"' in html


def test_addresses_of_everything(engine: FakeEngine) -> None:
    found = Addresses(pyserve.status(), Address(runtime_dir=engine.directory))
    assert ("model add_one", "http://127.0.0.1:8000/v2/models/add_one") in found.links()
    assert f"{engine.directory}/http.sock" in repr(found)
    assert BASE not in repr(found)


@pytest.mark.parametrize("metrics", [[], [("metrics", "http://127.0.0.1:8002/metrics")]])
def test_ports_that_there_are(
    engine: FakeEngine, metrics: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE, "grpc_url", "127.0.0.1:8001")
    monkeypatch.setitem(ENGINE, "metrics_url", metrics[0][1] if metrics else None)
    links = Addresses(pyserve.status(), Address(runtime_dir=engine.directory)).links()
    assert [item for item in links if item[0] in ("gRPC", "metrics")] == [("gRPC", "127.0.0.1:8001"), *metrics]
