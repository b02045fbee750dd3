"""The command line's options of the response cache, with Triton's texts for what cannot be."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_MAX_SIZE = 2**64 - 1

#: What Triton's own cache needs for itself; a smaller one cannot be made there.
_LEAST_NBYTES = 192

_NO_CACHE = "No cache specified. --cache-config option format is <cache name>,<setting>=<value>. Got "
_FORM = "--cache-config option format is '<cache name>,<setting>=<value>'. Got "


class CacheSetting(NamedTuple):
    """One `--cache-config`."""

    cache: str
    name: str
    value: str


class BadCacheOptions(Exception):
    """Options that do not go together, or that no cache can be made of; the text is what is to be printed."""


def parse_cache_config(text: str) -> CacheSetting:
    """`cache,name=value`."""
    cache, comma, setting = text.partition(",")
    if not comma or not cache:
        raise argparse.ArgumentTypeError(f"{_NO_CACHE}{text}")
    name, _, value = setting.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{_FORM}{text}")
    return CacheSetting(cache, name, value)


def _parse_size(text: str) -> str:
    found = re.match(r"\s*[+-]?\d+", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"Invalid option value. Got {text}")
    return found[0].strip()


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    add = parser.add_argument
    add(
        "--cache-config",
        type=parse_cache_config,
        action="append",
        default=[],
        metavar="CACHE,SETTING=VALUE",
        help="local,size=BYTES keeps answers of models with a response_cache",
    )
    add("--response-cache-byte-size", type=_parse_size, default=None, metavar="BYTES", help="deprecated")
    add("--cache-directory", default="/opt/tritonserver/caches", metavar="DIR", help="only named in errors")


def cache_warning(options: argparse.Namespace) -> str:
    """What to say of options that are out of date."""
    size = options.response_cache_byte_size
    if size is None:
        return ""
    return (
        "Warning: '--response-cache-byte-size' has been deprecated! This will default to the 'local' cache "
        "implementation with the provided byte size for its config. Please use '--cache-config' instead. "
        f"The equivalent --cache-config CLI args would be: '--cache-config=local,size={size}'"
    )


def cache_nbytes(options: argparse.Namespace) -> int | None:
    """The size of the cache, None for no cache; raises `BadCacheOptions`."""
    configs: Sequence[CacheSetting] = options.cache_config
    if options.response_cache_byte_size is not None:
        if configs:
            raise BadCacheOptions(
                "Error: Incompatible flags --response-cache-byte-size and --cache-config both provided. "
                "Please provide one or the other."
            )
        configs = [CacheSetting("local", "size", options.response_cache_byte_size)]
    if not configs:
        return None
    kinds = {item.cache for item in configs}
    if len(kinds) > 1:
        text = "found multiple cache configurations, but only a single cache is currently supported"
        raise BadCacheOptions(f"error: creating server: Invalid argument - {text}")
    if kinds != {"local"}:
        text = f"unable to find 'libtritoncache_{kinds.pop()}.so' for cache. Searched: {options.cache_directory}"
        raise BadCacheOptions(f"error: creating server: Invalid argument - {text}")
    return _local_size({item.name: item.value for item in configs})


def _local_size(settings: Mapping[str, str]) -> int:
    failed = "Failed to initialize LocalCache:"
    if "size" not in settings:
        text = f"{failed} config didn't contain a valid 'size' field."
        raise BadCacheOptions(f"error: creating server: Invalid argument - {text}")
    internal = f"error: creating server: Internal - {failed}"
    found = re.match(r"\s*[+-]?\d+", settings["size"])  # what follows the number does not matter there either
    if found is None or abs(int(found[0])) > _MAX_SIZE:
        raise BadCacheOptions(f"{internal} stoull")
    size = int(found[0])
    if size < 0 or size > _memory_nbytes():
        raise BadCacheOptions(f"{internal} failed to allocate buffer")
    if size < _LEAST_NBYTES:
        text = "Could not initialize buffer in basic_managed_external_buffer constructor"
        raise BadCacheOptions(f"{internal} {text}")
    return size


def _memory_nbytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
