"""HTTP itself: routes, methods, keep-alive, pipelining, chunks, and what is not HTTP."""

from __future__ import annotations

from tests.golden.case import get, http, post, raw

_LIVE = "/v2/health/live"
_BODY = b'{"id":"c","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,1],"data":[1]}]}'
_INFER = "/v2/models/identity/infer"


def _chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


_EXPECTING = {"Content-Length": str(len(_BODY)), "Expect": "100-continue"}
_CHUNKED_HEAD = http("GET", _INFER, headers={"Transfer-Encoding": "chunked"}).replace(b"GET", b"POST", 1)

CASES = (
    get("route_root", "/"),
    get("route_unknown", "/nope"),
    get("route_v1", "/v1/models"),
    get("route_v2_slash", "/v2/"),
    get("route_models", "/v2/models"),
    get("route_models_slash", "/v2/models/"),
    get("route_model_trailing_slash", "/v2/models/identity/"),
    get("route_model_unknown_verb", "/v2/models/identity/dance"),
    get("route_versions_without_number", "/v2/models/identity/versions"),
    get("route_version_unknown_verb", "/v2/models/identity/versions/1/dance"),
    get("route_metrics_on_main_port", "/metrics"),
    get("route_percent_encoded", "/v2/models/%69dentity"),
    get("route_double_slash", "//v2/health/live"),
    get("route_upper_case", "/V2/health/live"),
    get("route_fragment", "/v2/health/live#x"),
    post("route_unknown_post", "/nope", b"{}"),
    post("method_metadata_post", "/v2", b"{}"),
    post("method_model_post", "/v2/models/identity", b"{}"),
    post("method_config_post", "/v2/models/identity/config"),
    get("method_infer_get", "/v2/models/identity/infer"),
    get("method_infer_get_version", "/v2/models/identity/versions/1/infer"),
    get("method_index_get", "/v2/repository/index"),
    get("method_load_get", "/v2/repository/models/identity/load"),
    get("method_unload_get", "/v2/repository/models/identity/unload"),
    raw("method_infer_put", http("PUT", "/v2/models/identity/infer", b"{}", {"Content-Length": "2"})),
    raw("method_patch", http("PATCH", "/v2")),
    raw("http_1_0", http("GET", _LIVE, version="1.0")),
    raw("http_1_0_keep_alive", http("GET", "/v2", headers={"Connection": "keep-alive"}, version="1.0")),
    raw("connection_close", http("GET", _LIVE, headers={"Connection": "close"})),
    raw("connection_close_ends", http("GET", _LIVE, headers={"Connection": "close"}), answers=2),
    raw("keep_alive", http("GET", _LIVE), then=http("GET", "/v2")),
    raw("keep_alive_after_404", http("GET", "/nope"), then=http("GET", _LIVE)),
    raw("keep_alive_after_405", http("POST", _LIVE), then=http("GET", _LIVE)),
    raw("keep_alive_after_405_with_body", http("POST", _LIVE, b"abc"), then=http("GET", _LIVE)),
    raw("keep_alive_after_infer_error", http("POST", _INFER, b"{bad"), then=http("POST", _INFER, _BODY)),
    raw("keep_alive_after_unknown_model", http("POST", "/v2/models/x/infer", _BODY), then=http("GET", _LIVE)),
    raw("pipelined_after_infer", http("POST", _INFER, _BODY) + http("GET", "/nope"), answers=2),
    raw("pipelined_after_infer_error", http("POST", _INFER, b"{bad") + http("POST", _INFER, _BODY), answers=2),
    raw("expect_continue", http("POST", _INFER, headers=_EXPECTING), then=_BODY),
    raw("chunked_one", _CHUNKED_HEAD + _chunked(_BODY)),
    raw("chunked_many", _CHUNKED_HEAD + _chunked(*(_BODY[at : at + 7] for at in range(0, len(_BODY), 7)))),
    raw("chunked_then_next", _CHUNKED_HEAD + _chunked(_BODY) + http("GET", _LIVE), answers=2),
    raw("header_case_ignored", f"GET {_LIVE} HTTP/1.1\r\nhost: localhost\r\nCONNECTION: Close\r\n\r\n".encode()),
    raw("no_host", f"GET {_LIVE} HTTP/1.1\r\n\r\n".encode()),
    raw("absolute_uri", f"GET http://localhost{_LIVE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()),
    raw("malformed_request_line", b"hello\r\n\r\n"),
    raw("malformed_content_length", http("POST", _INFER, headers={"Content-Length": "ten"})),
    raw("negative_content_length", http("POST", _INFER, headers={"Content-Length": "-1"})),
    post("content_type_ignored", _INFER, _BODY, headers={"Content-Type": "text/html"}),
    post("unknown_headers_ignored", _INFER, _BODY, headers={"X-Something": "else", "Accept": "image/png"}),
    post("long_header", _INFER, _BODY, headers={"X-Long": "x" * 4000}),
)
