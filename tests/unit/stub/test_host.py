from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from pyserve_stub.host import Host, OfflineHost, get_host, set_host
from pyserve_stub.messages import InferenceRequest
from pyserve_stub.vocabulary import TritonModelException

REQUEST = InferenceRequest(inputs=[], requested_output_names=[], model_name="m")

NEEDS: list[tuple[str, Callable[[Host], object]]] = [
    ("Sending a response", lambda host: host.send_response(1, None, 1)),
    ("A BLS request", lambda host: host.bls(REQUEST, False)),
    ("load_model", lambda host: host.load_model("m", "", None)),
    ("unload_model", lambda host: host.unload_model("m", False)),
    ("is_model_ready", lambda host: host.is_model_ready("m", "")),
]


@pytest.mark.parametrize(("what", "ask"), NEEDS)
def test_what_needs_a_server_says_so(what: str, ask: Callable[[Host], object]) -> None:
    for host in (Host(), OfflineHost()):
        with pytest.raises(TritonModelException) as caught:
            ask(host)
        assert str(caught.value) == f"{what} {host.without}"


def test_the_rest_has_an_answer() -> None:
    host = OfflineHost()
    assert host.is_cancelled(1) is False
    assert host.free_memory() == 0
    host.sender_dropped(1)
    with pytest.raises(NotImplementedError):
        Host().log(0, "f.py", 1, "m")


def test_metrics_are_kept_and_refused_with_the_name_of_the_instance() -> None:
    host = Host()
    host.instance_name = "m_0"
    family = host.open_metric_family("a", "d", 0)
    metric = host.open_metric(family, {}, None)
    assert host.metric(metric, "increment", 2) == 2
    with pytest.raises(TritonModelException, match=r"^Failed to process the request for model 'm_0', message: TRITON"):
        host.metric(metric, "set", 2)
    host.close_metric(metric)
    host.close_metric_family(family)


@pytest.mark.parametrize(("level", "letter"), list(enumerate("IWEV")))
def test_offline_logs_go_to_stderr(level: int, letter: str, capsys: pytest.CaptureFixture[str]) -> None:
    OfflineHost().log(level, "model.py", 8, "two\nlines")
    out, err = capsys.readouterr()
    assert out == ""
    layout = rf"{letter}\d{{4}} \d\d:\d\d:\d\d\.\d{{6}} {os.getpid()} model\.py:8\]  two\nlines\n"
    assert re.fullmatch(layout, err)


def test_there_is_one_host() -> None:
    before, other = get_host(), Host()
    assert isinstance(before, OfflineHost)
    set_host(other)
    try:
        assert get_host() is other
    finally:
        set_host(before)
