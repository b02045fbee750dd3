"""A server that forwards some headers to models, and keeps parts of the protocol for those who know a header."""

from __future__ import annotations

from tests.golden.case import Case, blob, encoded, http, infer, raw, strings, tensor

OPTIONS = (
    "--http-header-forward-pattern=x-.*",
    "--http-restricted-api=metadata,statistics:Some-Key=Value",
    "--http-restricted-api=model-repository:admin=a=b",
)

_ASK = tensor("COMMAND", "BYTES", [1], ["parameters"])
_HEADER = encoded({"inputs": [blob("COMMAND", "BYTES", [1], 14)]})


def _forward(name: str, parameters: object = None, body: bytes | None = None, **headers: str) -> Case:
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    asked: object = {"inputs": [_ASK]} if parameters is None else {"inputs": [_ASK], "parameters": parameters}
    return infer(f"forward_{name}", "behave", asked if body is None else body, headers=given)


def _restricted(name: str, method: str, path: str, **headers: str) -> Case:
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return raw(f"restricted_{name}", http(method, path, headers=given))


CASES = (
    _forward("nothing", A="b"),
    _forward("one", X_Foo="Bar"),
    _forward("another_value", X_Foo="Other"),
    _forward("several", X_b="1", Y="2", x_A="3"),
    _forward("inside_the_name", My_X_Name="1"),
    _forward("and_parameters", {"a": 1, "X-Foo": "own"}, X_Foo="Bar"),
    _forward("escaped", X_Foo='say "no" \\ caf\u00c3\u00a9'),
    _forward(
        "binary",
        body=_HEADER + strings(b"parameters"),
        X_Foo="Bar",
        Inference_Header_Content_Length=str(len(_HEADER)),
    ),
    _restricted("metadata", "GET", "/v2"),
    _restricted("metadata_known", "GET", "/v2/models/behave", some_key="Value"),
    _restricted("metadata_other_value", "GET", "/v2/models/behave", some_key="value"),
    _restricted("statistics", "GET", "/v2/models/stats"),
    _restricted("wrong_method", "POST", "/v2/models/behave/stats"),
    _restricted("wrong_method_known", "POST", "/v2/models/behave/stats", Some_Key="Value"),
    _restricted("index", "POST", "/v2/repository/index", some_key="Value"),
    _restricted("index_known", "POST", "/v2/repository/index", admin="a=b"),
    _restricted("unload", "POST", "/v2/repository/models/nobody/unload"),
    _restricted("nowhere", "GET", "/v2/nowhere"),
    _restricted("others", "GET", "/v2/models/behave/ready"),
)
