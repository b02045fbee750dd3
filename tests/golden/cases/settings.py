"""Log settings, and trace settings as far as they can be made where nothing is traced."""

from __future__ import annotations

from tests.golden.case import Case, get, post

_LOG = "/v2/logging"
_TRACE = "/v2/trace/setting"
_MODEL_TRACE = "/v2/models/minimal/trace/setting"
_ALL_ON: dict[str, object] = {"log_info": True, "log_warning": True, "log_error": True}


def _log(name: str, body: object) -> Case:
    return post(f"log_{name}", _LOG, body)


def _trace(name: str, body: object, path: str = _TRACE) -> Case:
    return post(f"trace_{name}", path, body)


CASES = (
    get("log_settings", _LOG),
    _log("no_body", b""),
    _log("nothing", {}),
    _log("not_json", b"{bad"),
    _log("array", []),
    _log("two", {"log_info": False, "log_verbose_level": 3}),
    _log("info_text", {"log_info": "false"}),
    _log("info_number", {"log_info": 1}),
    _log("info_null", {"log_info": None}),
    _log("verbose_null", {"log_verbose_level": None}),
    _log("verbose_negative", {"log_verbose_level": -1}),
    _log("verbose_text", {"log_verbose_level": "1"}),
    _log("verbose_float", {"log_verbose_level": 1.5}),
    _log("verbose_bool", {"log_verbose_level": True}),
    _log("verbose_33_bits", {"log_verbose_level": 2**33 + 5}),
    _log("verbose_32_bits", {"log_verbose_level": 2**32 - 1}),
    _log("format_iso", {"log_format": "ISO8601"}),
    _log("format_lower_case", {"log_format": "iso8601"}),
    _log("format_unknown", {"log_format": "foo"}),
    _log("format_number", {"log_format": 7}),
    _log("format_null", {"log_format": None}),
    _log("file", {"log_file": "x"}),
    _log("file_number", {"log_file": 7}),
    _log("file_null", {"log_file": None}),
    _log("unknown_setting", {"colour": 7}),
    _log("refused_half", {"log_warning": False, "log_format": "foo"}),
    get("log_after_refused_half", _LOG),
    _log("back", {**_ALL_ON, "log_verbose_level": 0, "log_format": "default"}),
    get("trace_settings", _TRACE),
    get("trace_of_model", _MODEL_TRACE),
    get("trace_of_nobody", "/v2/models/nobody/trace/setting"),
    get("trace_of_version", "/v2/models/minimal/versions/1/trace/setting"),
    _trace("no_body", b""),
    _trace("nothing", {}),
    _trace("not_json", b"{bad"),
    _trace("array", []),
    _trace("level_without_file", {"trace_level": ["TIMESTAMPS"]}),
    _trace("level_off_and_on", {"trace_level": ["OFF", "TIMESTAMPS"]}),
    _trace("level_off", {"trace_level": ["OFF"]}),
    _trace("level_text", {"trace_level": "OFF"}),
    _trace("level_unknown", {"trace_level": ["FOO"]}),
    _trace("level_numbers", {"trace_level": [7]}),
    _trace("level_none", {"trace_level": []}),
    _trace("rate_text", {"trace_rate": "abc"}),
    _trace("rate_trailing", {"trace_rate": "12abc"}),
    _trace("rate_negative", {"trace_rate": "-1"}),
    _trace("rate_too_large", {"trace_rate": "4294967296"}),
    _trace("rate_much_too_large", {"trace_rate": "99999999999999999999"}),
    _trace("rate_number", {"trace_rate": 5}),
    _trace("rate_list", {"trace_rate": ["5"]}),
    _trace("rate_empty", {"trace_rate": ""}),
    _trace("count_too_small", {"trace_count": "-2"}),
    _trace("count_text", {"trace_count": "abc"}),
    _trace("count", {"trace_count": "100"}),
    _trace("count_much_too_large", {"trace_count": "99999999999999999999"}),
    _trace("frequency_negative", {"log_frequency": "-1"}),
    _trace("frequency", {"log_frequency": "10"}),
    _trace("frequency_text", {"log_frequency": "abc"}),
    _trace("frequency_too_large", {"log_frequency": "4294967296"}),
    _trace("file", {"trace_file": "x"}),
    _trace("file_null", {"trace_file": None}),
    _trace("unknown_setting", {"colour": "x"}),
    _trace("model", {"trace_rate": "50"}, _MODEL_TRACE),
    _trace("beside_model", {"trace_rate": "60"}),
    get("trace_of_model_stays", _MODEL_TRACE),
    _trace("model_back", {"trace_rate": None}, _MODEL_TRACE),
    get("trace_of_model_follows", _MODEL_TRACE),
    _trace("rate_null", {"trace_rate": None}),
    _trace("all_null", {"trace_count": None, "log_frequency": None, "trace_level": None}),
    _trace("set_of_nobody", {"trace_rate": "50"}, "/v2/models/nobody/trace/setting"),
    _trace("rate_zero_and_on", {"trace_level": ["TIMESTAMPS"], "trace_rate": "0"}),
    _trace("rate_zero", {"trace_rate": "0"}),
)
