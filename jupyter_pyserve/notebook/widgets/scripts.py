"""The scripts and the style of the live views, as a front end takes them: one text each, without imports.

They stand beside this file as ES modules; what one imports is put in front of it, once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^import \{[^}]*\} from '\./(\w+)\.js';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function |const |class )", re.MULTILINE)


@lru_cache
def script(kind: str) -> str:
    """The module of a view, complete."""
    modules: dict[str, str] = {}
    _collect(kind, modules)
    return "\n".join(modules.values())


@lru_cache
def style() -> str:
    """The style of all views."""
    return _read("widgets.css")


def _collect(name: str, modules: dict[str, str]) -> None:
    """A module behind all that it imports."""
    text = _read(f"{name}.js")
    for imported in _IMPORT.findall(text):
        if imported not in modules:
            _collect(imported, modules)
    modules[name] = _EXPORT.sub("", _IMPORT.sub("", text))


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
