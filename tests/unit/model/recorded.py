"""Configurations with what Triton 2.51 made of them, as `record_configs.py` wrote them down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

RECORDED = Path(__file__).with_name("recorded_configs.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`config` is the answer's exact text; or `error` what was refused, at stage A (reading) or B (creating)."""

    model: str
    pbtxt: str
    config: str = ""
    stage: str = ""
    error: str = ""


ALL = tuple(Recorded(**entry) for entry in json.loads(RECORDED.read_text(encoding="utf-8")))
ACCEPTED = tuple(r for r in ALL if r.config)
REFUSED = tuple(r for r in ALL if r.error)
