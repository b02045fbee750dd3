"""Batchers of sequences and queues that refuse: what is refused before it is queued, and what expires there."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.case import AnyCase, Case, Files, Json, Rpc, Scrape, infer, statistics, tensor
from tests.golden.cases.texts import model

_CORRID = 'control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }'
_SLOW = "__import__('time').sleep(0.6); made = {'O': given['I']}"
_SUM = "self.sum = getattr(self, 'sum', 0) + given['I']; made = {'O': self.sum}"
_POLICY = "default_queue_policy { default_timeout_microseconds: 100000 %s }"

MODELS: Mapping[str, Files] = {
    "direct": model(_SUM, batch=1, more=f"sequence_batching {{ direct {{ }} {_CORRID} }}"),
    "oldest": model(_SUM, batch=1, more="sequence_batching { oldest { max_candidate_sequences: 2 } }"),
    "expiring": model(_SLOW, batch=1, more=f"dynamic_batching {{ {_POLICY % ''} }}"),
    "delaying": model(_SLOW, batch=1, more=f"dynamic_batching {{ {_POLICY % 'timeout_action: DELAY'} }}"),
    "overriding": model(_SLOW, batch=1, more=f"dynamic_batching {{ {_POLICY % 'allow_timeout_override: true'} }}"),
}


def _step(name: str, to: str, /, batch: int = 1, named: str = "", **parameters: Json) -> Case:
    body: dict[str, Json] = {"inputs": [tensor("I", "FP32", [batch, 1], [1.0] * batch)], "parameters": parameters}
    return infer(f"scheduled_{to}_{name}", to, {**body, "id": named} if named else body)


def _sequences(to: str) -> tuple[Case, ...]:
    return (
        _step("no_id", to),
        _step("id_zero", to, sequence_id=0, sequence_start=True),
        _step("id_empty", to, sequence_id="", sequence_start=True),
        _step("no_start", to, sequence_id=5),
        _step("no_start_named", to, named="own", sequence_id=5),
        _step("no_start_text", to, sequence_id="text"),
        _step("start", to, sequence_id=5, sequence_start=True),
        _step("next", to, sequence_id=5),
        _step("end", to, sequence_id=5, sequence_end=True),
        _step("after_end", to, sequence_id=5),
        _step("end_after_end", to, sequence_id=5, sequence_end=True),
        _step("one", to, sequence_id=6, sequence_start=True, sequence_end=True),
        _step("start_again", to, sequence_id=7, sequence_start=True),
        _step("start_again_and_again", to, sequence_id=7, sequence_start=True),
        _step("ended", to, sequence_id=7, sequence_end=True),
    )


def _stream(name: str, to: str, *timeouts_us: int) -> Rpc:
    """Requests at once, each with a timeout if it is not 0."""
    requests: list[Mapping[str, Json]] = []
    for number, timeout_us in enumerate(timeouts_us):
        given = {"name": "I", "datatype": "FP32", "shape": ["1", "1"], "contents": {"fp32_contents": [1.5]}}
        more: dict[str, Json] = {"parameters": {"timeout": {"int64_param": str(timeout_us)}}} if timeout_us else {}
        requests.append({"model_name": to, "id": f"r{number}", "inputs": [given], **more})
    return Rpc(name=f"scheduled_{name}", requests=tuple(requests))


CASES: tuple[AnyCase, ...] = (
    *_sequences("direct"),
    *_sequences("oldest"),
    _step("too_large", "direct", batch=2, sequence_id=8, sequence_start=True),
    _stream("expired", "expiring", 0, 0, 0),
    statistics("scheduled_expired_statistics", "expiring"),
    Scrape(name="scheduled_expired_metrics", words=('nv_inference_request_failure{model="expiring"',)),
    _stream("delayed", "delaying", 0, 0),
    _stream("shorter", "overriding", 0, 1000),
    _stream("longer", "overriding", 0, 5_000_000),
)
