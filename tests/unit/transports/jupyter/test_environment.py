"""What children of the server get to know, and that it is taken back."""

from __future__ import annotations

import pytest

from jupyter_pyserve.transports.jupyter.environment import ChildEnvironment, server_url


def test_everything_is_put_back() -> None:
    environ = {"KEPT": "1", "CHANGED": "before"}
    children = ChildEnvironment(environ)
    children.set("CHANGED", "now")
    children.set("CHANGED", "again")
    children.set("NEW", "now")
    children.set("KEPT", None)
    children.set("ABSENT", None)
    assert environ == {"CHANGED": "again", "NEW": "now"}
    environ.pop("NEW")
    children.restore()
    children.restore()
    assert environ == {"KEPT": "1", "CHANGED": "before"}


@pytest.mark.parametrize(
    ("scheme", "ip", "base_url", "expected"),
    [
        ("http", "localhost", "/", "http://localhost:8888/pyserve"),
        ("http", "", "/", "http://localhost:8888/pyserve"),
        ("http", "0.0.0.0", "/a%40b/", "http://localhost:8888/a%40b/pyserve"),
        ("https", "::", "/user/x/", "https://localhost:8888/user/x/pyserve"),
        ("http", "::1", "/", "http://[::1]:8888/pyserve"),
        ("http", "10.0.0.7", "/", "http://10.0.0.7:8888/pyserve"),
    ],
)
def test_server_url(scheme: str, ip: str, base_url: str, expected: str) -> None:
    assert server_url(scheme=scheme, ip=ip, port=8888, base_url=base_url) == expected
