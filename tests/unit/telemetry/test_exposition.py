from __future__ import annotations

import math

import pytest

from jupyter_pyserve.telemetry.exposition import Family, Kind, labels, number, render


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # What the real server printed for each.
        (0, "0"),
        (1.5, "1.5"),
        (1e20, "1e+20"),
        (123456789.123, "123456789.123"),
        (1e-7, "1e-07"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "Nan"),
        (-0.0, "-0"),
        (1e6, "1000000"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.3333333333333333"),
        (2**53 + 2.0, "9007199254740994"),
        (1e16, "1e+16"),
        (10**17, "100000000000000000"),
    ],
)
def test_numbers_are_printed_as_triton_prints_them(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("pairs", "last", "text"),
    [
        ({}, (), ""),
        ({"version": "1", "_tag": "x", "model": "m"}, (), '{_tag="x",model="m",version="1"}'),
        ({"a": 'q"b\\c\nd'}, (), r'{a="q\"b\\c\nd"}'),
        ({"z": "1"}, (("le", "+Inf"),), '{z="1",le="+Inf"}'),
        ({}, (("le", "0.1"),), '{le="0.1"}'),
    ],
)
def test_labels_are_ordered_and_quoted(pairs: dict[str, str], last: tuple[tuple[str, str], ...], text: str) -> None:
    assert labels(pairs, *last) == text


def test_families_stand_by_kind_and_only_with_samples() -> None:
    families = [
        Family("g", Kind.GAUGE, "a\\b\nc", {"": 1, '{v="2"}': 2.5}),
        Family("none", Kind.COUNTER, "not there"),
        Family("s", Kind.SUMMARY, "sum", {"_count": 3}),
        Family("c", Kind.COUNTER, 'say "c"', {"": 4}),
        Family("h", Kind.HISTOGRAM, "hist", {'_bucket{le="1"}': 5}),
    ]
    assert render(families) == (
        '# HELP c say "c"\n# TYPE c counter\nc 4\n'
        '# HELP g a\\\\b\\nc\n# TYPE g gauge\ng 1\ng{v="2"} 2.5\n'
        '# HELP h hist\n# TYPE h histogram\nh_bucket{le="1"} 5\n'
        "# HELP s sum\n# TYPE s summary\ns_count 3\n"
    )
    assert render([]) == ""


def test_who_uses_the_same_labels_shares_a_series() -> None:
    family = Family("c", Kind.COUNTER, "c", {"": 4})
    family.add("", 3)
    family.add('{a="b"}', 1)
    assert family.samples == {"": 7, '{a="b"}': 1}
