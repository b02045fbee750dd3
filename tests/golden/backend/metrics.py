"""Custom metrics (section 1.12): arguments, operations, and the page that shows them."""

from __future__ import annotations

from tests.golden.backend.scripted import probe
from tests.golden.case import AnyCase, Scrape

_KINDS = ("COUNTER", "GAUGE", "HISTOGRAM")
_F = "pb_utils.MetricFamily({!r}, 'text', pb_utils.MetricFamily.{})"


def _family(name: str, kind: str = "COUNTER") -> str:
    return f"f = pb_utils.MetricFamily({name!r}, 'text', pb_utils.MetricFamily.{kind})\n"


_FAMILIES = {
    "nothing": "pb_utils.MetricFamily()",
    "two": "pb_utils.MetricFamily('golden_a', 'x')",
    "kind_number": "pb_utils.MetricFamily('golden_a', 'x', 0)",
    "kind_none": "pb_utils.MetricFamily('golden_a', 'x', None)",
    "kind_other_enum": "pb_utils.MetricFamily('golden_a', 'x', pb_utils.TritonError.UNKNOWN)",
    "name_number": "pb_utils.MetricFamily(5, 'x', pb_utils.MetricFamily.COUNTER)",
    "description_none": "pb_utils.MetricFamily('golden_a', None, pb_utils.MetricFamily.COUNTER)",
    "keywords": "type(pb_utils.MetricFamily(name='golden_kw', description='x', kind=pb_utils.MetricFamily.GAUGE)).__name__",
    "bytes": "type(pb_utils.MetricFamily(b'golden_bytes', b'x', pb_utils.MetricFamily.GAUGE)).__name__",
    "invalid_name": "pb_utils.MetricFamily('golden a', 'x', pb_utils.MetricFamily.COUNTER)",
    "name_starts_with_digit": "pb_utils.MetricFamily('1golden', 'x', pb_utils.MetricFamily.COUNTER)",
    "empty_name": "pb_utils.MetricFamily('', 'x', pb_utils.MetricFamily.COUNTER)",
    "colon_name": "type(pb_utils.MetricFamily('golden:colon', 'x', pb_utils.MetricFamily.COUNTER)).__name__",
    "dash_name": "pb_utils.MetricFamily('golden-dash', 'x', pb_utils.MetricFamily.COUNTER)",
    "unicode_name": "pb_utils.MetricFamily('golden_é', 'x', pb_utils.MetricFamily.COUNTER)",
    "other_kind": "a = pb_utils.MetricFamily('golden_kind', 'x', pb_utils.MetricFamily.COUNTER)\noutcome(pb_utils.MetricFamily, 'golden_kind', 'x', pb_utils.MetricFamily.GAUGE)",
    "attributes": "sorted(n for n in dir(pb_utils.MetricFamily) if n[0] != '_')",
    "metric_attributes": "sorted(n for n in dir(native.Metric) if n[0] != '_')",
}
_METRICS = {
    "plain": _family("golden_m") + "type(f.Metric())",
    "labels": _family("golden_m") + "type(f.Metric(labels={'a': 'b'}))",
    "positional": _family("golden_m") + "type(f.Metric({'a': 'c'}, None))",
    "empty_labels": _family("golden_m") + "type(f.Metric(labels={}))",
    "labels_list": _family("golden_m") + "f.Metric(labels=['a'])",
    "labels_text": _family("golden_m") + "f.Metric(labels='a')",
    "label_number": _family("golden_m") + "f.Metric(labels={'a': 1})",
    "label_none": _family("golden_m") + "f.Metric(labels={'a': None})",
    "label_key_number": _family("golden_m") + "f.Metric(labels={1: 'a'})",
    "label_name_invalid": _family("golden_m") + "f.Metric(labels={'a b': 'c'})",
    "label_name_colon": _family("golden_m") + "f.Metric(labels={'a:b': 'c'})",
    "label_name_reserved": _family("golden_m") + "f.Metric(labels={'__a': 'c'})",
    "label_name_empty": _family("golden_m") + "f.Metric(labels={'': 'c'})",
    "unknown_keyword": _family("golden_m") + "f.Metric(colour=1)",
    "same_series": _family("golden_same")
    + "a, b = f.Metric(labels={'x': '1', 'y': '2'}), f.Metric(labels={'y': '2', 'x': '1'})\na.increment(2)\n[a.value(), b.value()]",
    "same_series_two_families": _family("golden_same_2")
    + "g = pb_utils.MetricFamily('golden_same_2', 'other text', pb_utils.MetricFamily.COUNTER)\na, b = f.Metric(), g.Metric()\na.increment(3)\n[a.value(), b.value()]",
    "buckets_on_counter": _family("golden_m") + "f.Metric(buckets=[1])",
    "empty_buckets_on_counter": _family("golden_m") + "f.Metric(buckets=[])",
    "buckets_on_gauge": _family("golden_g", "GAUGE") + "f.Metric(buckets=[1])",
    "histogram_without_buckets": _family("golden_h", "HISTOGRAM") + "f.Metric()",
    "histogram_labels_only": _family("golden_h", "HISTOGRAM") + "f.Metric(labels={'a': 'b'})",
    "buckets": _family("golden_h", "HISTOGRAM") + "type(f.Metric(buckets=[1, 2.5]))",
    "buckets_empty": _family("golden_h", "HISTOGRAM") + "type(f.Metric(labels={'e': 'e'}, buckets=[]))",
    "buckets_tuple": _family("golden_h", "HISTOGRAM") + "f.Metric(buckets=(1, 2))",
    "buckets_unsorted": _family("golden_h", "HISTOGRAM") + "f.Metric(buckets=[2, 1])",
    "buckets_duplicate": _family("golden_h", "HISTOGRAM") + "f.Metric(buckets=[1, 1])",
    "buckets_text": _family("golden_h", "HISTOGRAM") + "f.Metric(buckets=['a'])",
    "buckets_none_element": _family("golden_h", "HISTOGRAM") + "f.Metric(buckets=[None])",
    "constructed": "native.Metric()",
}
_OPERATIONS = {
    f"{kind.lower()}_{operation}": _family(f"golden_op_{kind.lower()}", kind)
    + f"m = f.Metric({'buckets=[1, 2]' if kind == 'HISTOGRAM' else ''})\n[{call}, {value}]"
    for kind in _KINDS
    for value in ("outcome(m.value)",)
    for operation, call in {
        "increment": "outcome(m.increment, 2)",
        "increment_negative": "outcome(m.increment, -2)",
        "increment_zero": "outcome(m.increment, 0)",
        "set": "outcome(m.set, 5)",
        "observe": "outcome(m.observe, 1.5)",
        "value": "outcome(m.value)",
    }.items()
}
_ARGUMENTS = {
    "increment_text": "m.increment('1')",
    "increment_none": "m.increment(None)",
    "increment_numpy": "m.increment(np.float32(1.5))",
    "increment_numpy_int": "m.increment(np.int64(1))",
    "increment_bool": "m.increment(True)",
    "increment_nothing": "m.increment()",
    "increment_keyword": "m.increment(value=1)",
    "increment_nan": "m.increment(float('nan'))",
    "increment_infinity": "m.increment(float('inf'))",
    "value_argument": "m.value(1)",
    "value_type": "type(m.value())",
}
_DELETED = {
    operation: _family(f"golden_deleted_{kind.lower()}", kind)
    + f"m = f.Metric({'buckets=[1]' if kind == 'HISTOGRAM' else ''})\ndel f\ngc.collect()\n{call}"
    for operation, kind, call in (
        ("increment", "COUNTER", "m.increment(1)"),
        ("set", "GAUGE", "m.set(1)"),
        ("observe", "HISTOGRAM", "m.observe(1)"),
        ("value", "GAUGE", "m.value()"),
    )
}

_KEEP = "self.kept.setdefault('metrics', []).extend([f, m])\n"

EXPOSITION: tuple[AnyCase, ...] = (
    probe("metrics_shown_none", _family("golden_unused") + "self.kept['unused'] = f\nTrue"),
    probe(
        "metrics_shown_counter",
        _family("golden_shown_counter")
        + "m = f.Metric(labels={'a': 'x \"y\" \\\\ \\n z', 'b': ''})\n"
        + _KEEP
        + "m.increment(2.5)",
    ),
    probe("metrics_shown_large", _family("golden_shown_large") + "m = f.Metric()\n" + _KEEP + "m.increment(1e21)"),
    probe(
        "metrics_shown_integer", _family("golden_shown_integer") + "m = f.Metric()\n" + _KEEP + "m.increment(12345678)"
    ),
    probe(
        "metrics_shown_gauge",
        _family("golden_shown_gauge", "GAUGE") + "m = f.Metric(labels={'z': '1', 'a': '2'})\n" + _KEEP + "m.set(-0.1)",
    ),
    probe(
        "metrics_shown_gauge_unset",
        _family("golden_shown_unset", "GAUGE") + "m = f.Metric(labels={'k': 'v'})\n" + _KEEP + "m.value()",
    ),
    probe(
        "metrics_shown_gauge_nan",
        _family("golden_shown_nan", "GAUGE") + "m = f.Metric()\n" + _KEEP + "m.set(float('nan'))",
    ),
    probe(
        "metrics_shown_gauge_infinity",
        _family("golden_shown_inf", "GAUGE") + "m = f.Metric()\n" + _KEEP + "m.set(float('-inf'))",
    ),
    probe(
        "metrics_shown_histogram",
        _family("golden_shown_histogram", "HISTOGRAM")
        + "m = f.Metric(labels={'a': 'b'}, buckets=[0.1, 1, 2.5, 10])\n"
        + _KEEP
        + "[m.observe(v) for v in (0.05, 0.1, 1, 3, 11)]",
    ),
    probe(
        "metrics_shown_histogram_unused",
        _family("golden_shown_empty", "HISTOGRAM") + "m = f.Metric(buckets=[1])\n" + _KEEP + "True",
    ),
    probe(
        "metrics_shown_histogram_no_buckets",
        _family("golden_shown_bucketless", "HISTOGRAM") + "m = f.Metric(buckets=[])\n" + _KEEP + "m.observe(1)",
    ),
    probe(
        "metrics_shown_two_series",
        _family("golden_shown_two")
        + "m = f.Metric(labels={'n': '1'})\n"
        + _KEEP
        + "m = f.Metric(labels={'n': '2'})\n"
        + _KEEP
        + "m.increment(1)",
    ),
    probe(
        "metrics_shown_description",
        "f = pb_utils.MetricFamily('golden_shown_help', 'a \\\\ b\\nc \"d\"', pb_utils.MetricFamily.GAUGE)\nm = f.Metric()\n"
        + _KEEP
        + "m.set(1)",
    ),
    probe(
        "metrics_shown_empty_description",
        "f = pb_utils.MetricFamily('golden_shown_helpless', '', pb_utils.MetricFamily.GAUGE)\nm = f.Metric()\n"
        + _KEEP
        + "m.set(1)",
    ),
    probe(
        "metrics_shown_second_description",
        "f = pb_utils.MetricFamily('golden_shown_gauge', 'other', pb_utils.MetricFamily.GAUGE)\nm = f.Metric(labels={'z': 'other'})\n"
        + _KEEP
        + "m.set(1)",
    ),
    probe(
        "metrics_shown_metric_dropped",
        _family("golden_shown_dropped")
        + "m = f.Metric()\nm.increment(4)\nself.kept['dropped'] = f\ndel m\ngc.collect()",
    ),
    Scrape(name="metrics_page", words=("golden_shown", "golden_unused")),
)

CASES: tuple[AnyCase, ...] = (
    *(probe(f"metric_family_{name}", text) for name, text in _FAMILIES.items()),
    *(probe(f"metric_{name}", text) for name, text in _METRICS.items()),
    *(probe(f"metric_{name}", text) for name, text in _OPERATIONS.items()),
    *(probe(f"metric_argument_{name}", _family("golden_arguments", "GAUGE") + f"m = f.Metric()\n{text}") for name, text in _ARGUMENTS.items()),
    *(probe(f"metric_deleted_{name}", text) for name, text in _DELETED.items()),
)  # fmt: skip
