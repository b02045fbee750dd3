"""Where we answer otherwise than Triton 2.51 on purpose: what we answer, and why. All else that differs is a bug."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.golden.exchange import Answer

NEWER = "as Triton does since"
EXACT = "Triton 2.51 is wrong here, and nothing can rely on it"
ORDER = "Triton goes through a hash table; we go through the config, so that the text is the same every time"
SAFE = "what Triton does here could be used to do harm"

_REASONS = {400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Difference:
    """`changes` are what the case's last answer has instead of Triton's."""

    why: str
    changes: dict[str, Any]

    def expected(self, triton: list[Answer]) -> list[Answer]:
        return [*triton[:-1], {**triton[-1], **self.changes}]


def _error(why: str, status: int, text: str, content_type: str = "application/json") -> Difference:
    headers = {"content-type": content_type, "content-length": "<right>"}
    body = json.dumps({"error": text}, ensure_ascii=False, separators=(",", ":"))
    return Difference(why, {"status": status, "reason": _REASONS[status], "headers": headers, "body": body})


DIFFERENCES: dict[str, Difference] = {
    "model_ready_unknown": _error(
        NEWER, 404, "Request for unknown model: 'nobody' is not found", content_type="text/plain"
    ),
    "index_ready_text": _error(NEWER, 400, "Invalid value for 'ready': expected a boolean"),
    "header_length_text": _error(
        NEWER, 400, "Unable to parse Inference-Header-Content-Length, got: abc", content_type="text/plain"
    ),
    "validation_same_output_twice": _error(
        NEWER, 400, "[request id: <id_unknown>] output 'OUTPUT0' already exists in request"
    ),
}
