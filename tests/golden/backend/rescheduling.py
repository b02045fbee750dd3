"""Rescheduled requests, iterative sequences and the flags of sequences (section 2.12, 1.7)."""

from __future__ import annotations

from tests.golden.backend.scripted import DECOUPLED, ITERATIVE, SEQUENCE, script, scripted, stream
from tests.golden.case import AnyCase, Files, statistics

#: What a pass saw is kept by the model; the last pass tells it.
_SEEN = "seen = self.kept.setdefault('seen', [])\nseen.append((request.flags(), type(request.correlation_id()).__name__, request.request_id()))\n"
_AGAIN = "request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)\n"
_PASSES = _SEEN + "if len(seen) < 3:\n    " + _AGAIN + "    return [None]\nself.kept.clear()\nreturn [tell(seen)]"
_SENDER = "sender = request.get_response_sender()\n"

CASES: tuple[AnyCase, ...] = (
    script("reschedule_three_passes", _PASSES, model="iterative", id="mine"),
    script("reschedule_not_at_all", _SEEN + "self.kept.clear()\nreturn [tell(seen)]", model="iterative"),
    script("reschedule_and_answer", _AGAIN + "return [tell('x')]", model="iterative"),
    script("reschedule_and_text", _AGAIN + "return ['x']", model="iterative"),
    script("reschedule_and_raise", _AGAIN + "raise ValueError('boom')", model="iterative"),
    script("reschedule_and_error", _AGAIN + "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('x'))]", model="iterative"),
    script("reschedule_taken_back", _AGAIN + "request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL)\nreturn [tell('x')]", model="iterative"),
    script("reschedule_inputs_again", "n = self.kept['n'] = self.kept.get('n', 0) + 1\nif n < 3:\n    request.inputs()[0].as_numpy()[0] = request.inputs()[0].as_numpy()[0] + b'#'\n    " + _AGAIN + "    return [None]\nself.kept.clear()\nreturn [tell(request.inputs()[0].as_numpy()[0].count(b'#') > 3)]", model="iterative"),
    statistics("reschedule_statistics", "iterative"),
    stream("reschedule_decoupled", _SENDER + "n = self.kept['n'] = self.kept.get('n', 0) + 1\nif n < 3:\n    sender.send(tell(n, request.flags()))\n    " + _AGAIN + "else:\n    self.kept.clear()\n    sender.send(tell('last'), 1)", model="iterative_decoupled"),
    stream("reschedule_decoupled_silent", _SENDER + "n = self.kept['n'] = self.kept.get('n', 0) + 1\nif n < 3:\n    " + _AGAIN + "else:\n    self.kept.clear()\n    sender.send(tell(n), 1)", model="iterative_decoupled"),
    statistics("reschedule_decoupled_statistics", "iterative_decoupled"),
    *(
        script(f"sequence_{name}", "return [tell(request.flags(), request.correlation_id())]", model="stateful", parameters=parameters)
        for name, parameters in {
            "start": {"sequence_id": 7, "sequence_start": True},
            "middle": {"sequence_id": 7},
            "end": {"sequence_id": 7, "sequence_end": True},
            "text": {"sequence_id": "seven", "sequence_start": True, "sequence_end": True},
            "unstarted": {"sequence_id": 9},
            "without_id": {"sequence_start": True},
        }.items()
    ),
    statistics("sequence_statistics", "stateful"),
)  # fmt: skip

MODELS: dict[str, Files] = {
    "iterative": scripted(ITERATIVE),
    "iterative_decoupled": scripted(ITERATIVE + DECOUPLED),
    "stateful": scripted(SEQUENCE),
}
