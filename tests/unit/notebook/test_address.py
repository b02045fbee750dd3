from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import find_engine

URL = "http://localhost:8888/base/pyserve"


def _there(path: Path) -> bool:
    return True


def _nowhere(path: Path) -> bool:
    return False


def test_the_directory_of_the_environment_wins_over_its_url() -> None:
    environ = {"PYSERVE_RUNTIME_DIR": "/run/x", "PYSERVE_URL": URL + "/", "PYSERVE_TOKEN": "t"}
    address = find_engine(environ=environ, exists=_there)
    assert str(address.http_socket) == str(address) == "/run/x/http.sock"
    assert str(address.lane_socket) == "/run/x/lane.sock"
    assert (address.url, address.token) == (URL, "t")


def test_a_directory_of_another_machine_leaves_the_url() -> None:
    address = find_engine(environ={"PYSERVE_RUNTIME_DIR": "/run/x", "PYSERVE_URL": URL}, exists=_nowhere)
    assert address.runtime_dir is None
    assert address.http_socket is None
    assert address.lane_socket is None
    assert str(address) == URL


def test_an_explicit_url_ignores_the_environments_directory_but_takes_its_token() -> None:
    environ = {"PYSERVE_RUNTIME_DIR": "/run/x", "PYSERVE_TOKEN": "t"}
    address = find_engine(url="https://hub/pyserve", environ=environ, exists=_there)
    assert (address.runtime_dir, address.url, address.token) == (None, "https://hub/pyserve", "t")
    assert find_engine(url=URL, token="", environ=environ).token == ""


def test_no_address_at_all_says_what_to_do() -> None:
    with pytest.raises(PyServeError) as caught:
        find_engine(environ={}, exists=_there)
    assert caught.value.code is Code.UNAVAILABLE
    assert "pyserve.connect(url=" in caught.value.message


def test_an_explicit_directory_without_an_engine_is_an_error() -> None:
    with pytest.raises(PyServeError, match="no engine runs in '/run/x'"):
        find_engine(runtime_dir="/run/x", environ={"PYSERVE_URL": URL}, exists=_nowhere)


@pytest.mark.parametrize(
    "url", ["localhost:8888/pyserve", "ftp://host/", "http://", "", "http://h:88x8/", "http://[::1"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(PyServeError, match="is not an http:// or https:// URL"):
        find_engine(url=url, environ={})


def test_the_token_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(find_engine(url=URL, token="s3cret", environ={}))
