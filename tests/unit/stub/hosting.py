"""Who is a model's host, for as long as a test lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from pyserve_stub.host import Host, get_host, set_host

HostT = TypeVar("HostT", bound=Host)


@contextlib.contextmanager
def in_charge(host: HostT) -> Iterator[HostT]:
    """`host` is, and the one before it again afterwards."""
    before = get_host()
    set_host(host)
    try:
        yield host
    finally:
        set_host(before)
