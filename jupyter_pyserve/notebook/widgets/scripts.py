"""The scripts and the style of the live views, as a front end takes them: one text each, without imports.

They stand beside this file as ES modules that share `base.js`; here it is put in front of each.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^import \{[^}]*\} from '\./base\.js';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function |const |class )", re.MULTILINE)


@lru_cache
def script(kind: str) -> str:
    """The module of a view, complete."""
    base = _EXPORT.sub("", _read("base.js"))
    own, count = _IMPORT.subn("", _read(f"{kind}.js"))
    if count != 1:
        raise ValueError(f"{kind}.js must import from './base.js' once")
    return f"{base}\n{_EXPORT.sub('', own)}"


@lru_cache
def style() -> str:
    """The style of all views."""
    return _read("widgets.css")


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
