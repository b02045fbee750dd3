from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.display import EngineView, LogView, ModelList, Progress, ServedModel, View
from jupyter_pyserve.notebook.payloads import EngineStatus, ModelInfo
from tests.unit.notebook.fake_engine import ENGINE, MODEL

LOCAL = Address(runtime_dir=Path("/run/p"), url="http://localhost:8888/pyserve", token="s3cret")
HOSTILE = "<img src=x onerror=alert(1)>"


def _served(address: Address = LOCAL, **changes: Any) -> ServedModel:
    return ServedModel(cast(ModelInfo, {**MODEL, **changes}), cast(Any, ENGINE), address, note="in 12 ms")


def _status(*models: dict[str, Any]) -> EngineStatus:
    return cast(EngineStatus, {"engine": ENGINE, "models": list(models)})


def test_a_served_model_tells_everything() -> None:
    for shown in (_served().plain(), _served()._repr_html_()):
        for fact in (
            *("add_one", "READY", "4711", "add_one_0", "INPUT0", "FP32", "in 12 ms", "curl -s"),
            "http://localhost:8888/pyserve/v2/models/add_one",
            "http://127.0.0.1:8000/v2/models/add_one",
            *("/run/p/http.sock", "/run/p/lane.sock"),
        ):
            assert fact in shown
    assert "tritonclient" in _served()._repr_html_()


def test_the_token_is_never_shown() -> None:
    bundle = _served()._repr_mimebundle_()
    assert bundle["text/plain"] == repr(_served())
    assert not any("s3cret" in shown for shown in bundle.values())


def test_hostile_names_are_escaped_in_every_view() -> None:
    hostile = {
        **MODEL,
        "name": HOSTILE,
        "state": HOSTILE,
        "reason": HOSTILE,
        "versions": [{"version": HOSTILE, "state": HOSTILE, "reason": HOSTILE}],
        "instances": [{"name": HOSTILE, "version": HOSTILE, "state": HOSTILE, "kind": HOSTILE}],
        "inputs": [{"name": HOSTILE, "datatype": HOSTILE, "shape": [1]}],
    }
    engine = {**ENGINE, "version": HOSTILE, "repositories": [HOSTILE]}
    status = cast(EngineStatus, {"engine": engine, "models": [hostile]})
    views: list[View] = [
        ServedModel(cast(ModelInfo, hostile), cast(Any, engine), LOCAL, note=HOSTILE),
        ModelList(status),
        EngineView(status),
        LogView([{"text": HOSTILE, "instance": HOSTILE, "stream": HOSTILE}]),
        Progress(HOSTILE, note=HOSTILE),
        Progress(HOSTILE, {"event": "progress", "stage": HOSTILE, "instance": HOSTILE}),
    ]
    for view in views:
        assert "<img" not in view._repr_html_()
        assert "&lt;img" in view._repr_html_()


def test_addresses_may_be_pasted_whatever_the_name_is() -> None:
    served = ServedModel(cast(ModelInfo, {**MODEL, "name": "modèle un"}), cast(Any, ENGINE), LOCAL)
    assert served.addresses()[0][1].endswith("/v2/models/mod%C3%A8le%20un")


def test_only_the_addresses_there_are() -> None:
    assert [label for label, _ in _served().addresses()] == ["Jupyter", "HTTP port", "Unix socket", "lane"]
    remote = _served(Address(url="https://hub/pyserve"))
    assert [label for label, _ in remote.addresses()] == ["Jupyter", "HTTP port"]
    assert "ssl=True" in str(remote.tritonclient())
    local = _served(Address(runtime_dir=Path("/run/p")))
    assert local.tritonclient() is None
    assert "--unix-socket /run/p/http.sock" in str(local.curl())


def test_decoupled_models_are_asked_for_streams() -> None:
    served = _served(decoupled=True)
    assert str(served.curl()).startswith('curl -sN "$PYSERVE_URL/v2/models/add_one/generate_stream" ')
    assert served.tritonclient() is None
    large = _served(decoupled=True, inputs=[{"name": "IN", "datatype": "FP16", "shape": [1]}])
    assert large.curl() is None
    assert "curl" not in large.plain() + large._repr_html_()


def test_a_model_that_failed_shows_why() -> None:
    failed = _served(state="UNAVAILABLE", reason="ValueError: no", instances=[], versions=[])
    assert "add_one: UNAVAILABLE (ValueError: no)" in failed.plain()
    assert "ValueError: no" in failed._repr_html_()
    for shown in (failed.plain(), failed._repr_html_()):  # nothing answers: no tables of nothing, no request to paste
        assert "curl" not in shown
        assert "pid" not in shown.lower()


def test_an_instance_that_hangs_shows_for_how_long() -> None:
    def state(busy_s: float | None) -> str:
        return _served(instances=[{"name": "m_0", "state": "BUSY", "busy_since_s": busy_s}]).plain()

    assert "BUSY 2 min 5 s" in state(125.4)
    assert "BUSY" in state(0.2)
    assert "BUSY 0" not in state(0.2)


def test_the_engine_says_how_full_its_cache_is() -> None:
    cache = {"size_bytes": 9000, "used_bytes": 700, "entries": 3, "hits": 5, "misses": 4, "evictions": 0}
    status = cast(EngineStatus, {"engine": {**ENGINE, "cache": cache}, "models": []})
    assert "response cache: 3 answers, 700 B of 8.8 KiB, 5 hits, 4 misses" in EngineView(status).plain()
    assert "response cache" not in EngineView(_status()).plain()


def test_the_list_counts() -> None:
    models = ModelList(_status(MODEL, {"name": "other", "state": "UNAVAILABLE"}))
    assert (len(models), models.names(), models[0]["name"]) == (2, ["add_one", "other"], "add_one")
    lines = models.plain().splitlines()
    assert lines[0].split() == ["MODEL", "STATE", "VERSIONS", "PROCESSES", "REQUESTS", "FAILURES"]
    assert lines[1].split() == ["add_one", "READY", "1", "1", "3", "1"]
    assert lines[2].split() == ["other", "UNAVAILABLE", "0", "0", "0"]


def test_an_empty_list_says_so() -> None:
    assert ModelList(_status()).plain() == "no models yet"
    assert "no models yet" in EngineView(_status())._repr_html_()
    assert EngineView(_status()).http_url == "http://127.0.0.1:8000"
    assert EngineView(_status()).plain().startswith("engine 0.1.0 is READY, pid 99, http://127.0.0.1:8000, /srv/models")


def test_logs_show_time_instance_and_kind() -> None:
    line = LogView(
        [
            {"time": 0.0, "instance": "m_0", "stream": "log", "level": "INFO", "text": "hello\n"},
            {"time": 0.0, "instance": "m_1", "stream": "stdout", "text": "printed"},
        ]
    ).plain()
    assert [part.split()[1:] for part in line.splitlines()] == [["m_0", "INFO", "hello"], ["m_1", "stdout", "printed"]]
    assert LogView([]).plain() == "nothing was printed or logged"


def test_progress_words_its_stages() -> None:
    assert Progress("m").plain() == "m: sent to the engine ..."
    event = {"event": "progress", "stage": "initialize", "instance": "m_0"}
    assert Progress("m", cast(Any, event)).plain() == "m: running initialize (m_0) ..."
    assert Progress("m", cast(Any, {"event": "progress", "stage": "new"})).plain() == "m: new ..."
