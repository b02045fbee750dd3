"""Sockets that front ends listen on, and who may reach and use them."""

from __future__ import annotations

import hmac
import ipaddress
import socket

from jupyter_pyserve.errors import Code, PyServeError

BACKLOG = 1024


def bind_tcp(address: str, port: int, *, reuse_port: bool, name: str = "HTTP") -> socket.socket:
    """A socket bound to a TCP address; raises `PyServeError` with Triton's text when the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        sock.close()
        raise PyServeError(
            Code.UNAVAILABLE,
            f"failed to start {name} service: Unavailable - Socket '{address}:{port}' already in use ",
        ) from error
    return sock


def is_loopback(address: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def holds_token(authorization: bytes, token: str) -> bool:
    """Whether an `Authorization` header has the token, compared in constant time."""
    scheme, _, given = authorization.partition(b" ")
    return scheme.lower() in (b"token", b"bearer") and hmac.compare_digest(given.strip(), token.encode())
