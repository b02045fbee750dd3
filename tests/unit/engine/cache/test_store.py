from __future__ import annotations

from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.cache.store import CacheFigures, Kept, ResponseCache

METAS = (TensorMeta("O", 1, (3,)),)


def kept(text: bytes = b"abc") -> Kept:
    return Kept(encode_layout(METAS), METAS, (text,), b"")


SIZE = kept().nbytes


def test_an_entry_takes_more_than_its_bytes() -> None:
    assert kept(b"").nbytes > 500
    assert kept(bytes(1000)).nbytes == kept(b"").nbytes + 1000


def test_hits_and_misses_are_counted() -> None:
    cache = ResponseCache(10 * SIZE)
    assert cache.find(1, b"k") is None
    assert cache.keep(1, b"k", kept())
    assert cache.find(1, b"k") == kept()
    assert cache.find(2, b"k") is None
    figures = cache.figures
    assert (figures.hits, figures.misses, figures.evictions) == (1, 2, 0)
    assert (len(cache), cache.used_nbytes, cache.limit_nbytes) == (1, SIZE, 10 * SIZE)


def test_whether_it_is_known_counts_as_nothing() -> None:
    cache = ResponseCache(10 * SIZE)
    cache.keep(1, b"k", kept())
    assert cache.knows(1, b"k")
    assert not cache.knows(2, b"k")
    assert (cache.figures.hits, cache.figures.misses) == (0, 0)


def test_the_oldest_of_all_owners_goes() -> None:
    cache = ResponseCache(2 * SIZE)
    for owner in (1, 2, 3):
        assert cache.keep(owner, b"k", kept())
    assert [cache.knows(owner, b"k") for owner in (1, 2, 3)] == [False, True, True]
    assert cache.figures.evictions == 1


def test_what_is_too_large_is_not_kept() -> None:
    cache = ResponseCache(2 * SIZE)
    cache.keep(1, b"k", kept())
    assert not cache.keep(1, b"l", kept(bytes(2 * SIZE)))
    assert cache.knows(1, b"k")


def test_an_owner_is_forgotten() -> None:
    cache = ResponseCache(10 * SIZE)
    for owner in (1, 2):
        cache.keep(owner, b"k", kept())
    cache.forget(1)
    assert (cache.knows(1, b"k"), cache.knows(2, b"k"), cache.used_nbytes) == (False, True, SIZE)


def test_nothing_has_happened_yet() -> None:
    assert ResponseCache(SIZE).figures == CacheFigures(hits=0, misses=0, evictions=0, lookup_ns=0, insertion_ns=0)
