"""Types of command line values, with Triton's texts for those that do not fit."""

from __future__ import annotations

import argparse


def parse_bool(text: str) -> bool:
    """Triton's spellings of a boolean."""
    if text.lower() in ("true", "on", "1"):
        return True
    if text.lower() in ("false", "off", "0"):
        return False
    raise argparse.ArgumentTypeError(f"invalid value for bool option: {text}")
