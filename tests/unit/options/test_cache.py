from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.options.cache import (
    BadCacheOptions,
    add_cache_options,
    cache_nbytes,
    cache_warning,
    parse_cache_config,
)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_cache_options(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "nbytes"),
    [
        ((), None),
        (("--cache-config=local,size=8192",), 8192),
        (("--cache-config", "local,size=192"), 192),
        (("--cache-config=local,size=8192", "--cache-config=local,size=9000"), 9000),
        (("--cache-config=local,foo=5", "--cache-config=local,size=8192"), 8192),
        (("--cache-config=local,size= 8192x",), 8192),
        (("--cache-config=local,size=8192,x=3",), 8192),
        (("--response-cache-byte-size=8192",), 8192),
        (("--response-cache-byte-size", "8192x"), 8192),
    ],
)
def test_sizes(words: tuple[str, ...], nbytes: int | None) -> None:
    assert cache_nbytes(parsed(*words)) == nbytes


TOO_SMALL = (
    "error: creating server: Internal - Failed to initialize LocalCache: "
    "Could not initialize buffer in basic_managed_external_buffer constructor"
)
NO_MEMORY = "error: creating server: Internal - Failed to initialize LocalCache: failed to allocate buffer"
NO_NUMBER = "error: creating server: Internal - Failed to initialize LocalCache: stoull"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--cache-config=local,size=191",), TOO_SMALL),
        (("--cache-config=local,size=0",), TOO_SMALL),
        (("--response-cache-byte-size=0",), TOO_SMALL),
        (("--cache-config=local,size=-5",), NO_MEMORY),
        (("--response-cache-byte-size=-3",), NO_MEMORY),
        (("--cache-config=local,size=99999999999999",), NO_MEMORY),
        (("--cache-config=local,size=abc",), NO_NUMBER),
        (("--cache-config=local,size=99999999999999999999",), NO_NUMBER),
        (
            ("--cache-config=local,foo=5",),
            "error: creating server: Invalid argument - Failed to initialize LocalCache: "
            "config didn't contain a valid 'size' field.",
        ),
        (
            ("--cache-config=nope,a=b", "--cache-directory=/there"),
            "error: creating server: Invalid argument - unable to find 'libtritoncache_nope.so' for cache. "
            "Searched: /there",
        ),
        (
            ("--cache-config=local,size=8192", "--cache-config=redis,key=value"),
            "error: creating server: Invalid argument - found multiple cache configurations, "
            "but only a single cache is currently supported",
        ),
        (
            ("--cache-config=local,size=8192", "--response-cache-byte-size=0"),
            "Error: Incompatible flags --response-cache-byte-size and --cache-config both provided. "
            "Please provide one or the other.",
        ),
    ],
)
def test_what_cannot_be(words: tuple[str, ...], text: str) -> None:
    with pytest.raises(BadCacheOptions) as caught:
        cache_nbytes(parsed(*words))
    assert str(caught.value) == text


NO_CACHE = "No cache specified. --cache-config option format is <cache name>,<setting>=<value>. Got "
FORM = "--cache-config option format is '<cache name>,<setting>=<value>'. Got "


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("local", NO_CACHE),
        ("size=5", NO_CACHE),
        (",size=5", NO_CACHE),
        ("local,size", FORM),
        ("local,size=", FORM),
        ("local,=5", FORM),
    ],
)
def test_what_is_no_setting(value: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        parse_cache_config(value)
    assert str(caught.value) == text + value


def test_the_old_option_says_what_to_write() -> None:
    assert cache_warning(parsed("--response-cache-byte-size=3x")).endswith("'--cache-config=local,size=3'")
    assert cache_warning(parsed("--cache-config=local,size=3")) == ""
    with pytest.raises(SystemExit):
        parsed("--response-cache-byte-size=abc")
