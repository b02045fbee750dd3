"""Inference over the v2 protocol: the one door to the values and functions that front ends use.

Holds nothing of its own; who needs a part finds it in the module that owns it.
"""

from __future__ import annotations

from jupyter_pyserve.v2.limits import inference_header_length
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputRef, OutputValue, ParameterValue, ShmRef
from jupyter_pyserve.v2.parse import parse_infer
from jupyter_pyserve.v2.raw import raw_infer
from jupyter_pyserve.v2.render import render_response
from jupyter_pyserve.v2.validate import ContentError, batch_size, check_bytes, element_count, validate

__all__ = [
    "ContentError",
    "InferRequest",
    "InputRef",
    "OutputRef",
    "OutputValue",
    "ParameterValue",
    "ShmRef",
    "batch_size",
    "check_bytes",
    "element_count",
    "inference_header_length",
    "parse_infer",
    "raw_infer",
    "render_response",
    "validate",
]
