"""What an error of a model says to somebody who may use it and may not execute code: no files, lines or functions.

Knows the one form in which they come, which is Triton's, in a body that is JSON.
"""

from __future__ import annotations

import re
from typing import Final

_FRAMES: Final = re.compile(rb"""\\n\\nAt:\\n(?:\x20\x20(?:[^"\\]|\\[^n])*\\n)+""")


def without_frames(body: bytes) -> bytes:
    """The body without the frames of every traceback in it."""
    return _FRAMES.sub(b"", body)
