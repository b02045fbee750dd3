"""The command line's options of the HTTP port, by Triton's names."""

from __future__ import annotations

import argparse

from jupyter_pyserve.options.types import RESTRICTION, Restrict, header_pattern, parse_bool, whole_number
from jupyter_pyserve.settings import EngineSettings, ListenSettings


def add_http_options(parser: argparse.ArgumentParser, port: int | None) -> None:
    """All of them; `port` is what is listened on when nothing is said."""
    listen, engine = ListenSettings(), EngineSettings()
    add = parser.add_argument
    add("--allow-http", type=parse_bool, default=True, metavar="BOOL")
    add("--http-address", default=listen.http_address)
    add("--http-port", type=whole_number, default=port)
    add("--reuse-http-port", type=parse_bool, default=False, metavar="BOOL")
    add("--http-max-input-size", type=whole_number, default=engine.http_max_input_nbytes)
    add("--http-header-forward-pattern", type=header_pattern, default="", metavar="REGEX")
    add("--http-restricted-api", action=Restrict, default={}, metavar=RESTRICTION)
