"""HTML whose every value is escaped by construction: only what `element` made is trusted by `element`.

Pure text; knows nothing of what it shows.
"""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = "str | int | float | None | Markup"


def text(value: object) -> Markup:
    """A value as escaped HTML; None is nothing."""
    if isinstance(value, Markup):
        return value
    return Markup("" if value is None else html.escape(str(value), quote=True))


def element(tag: str, *children: object, style: str = "", title: str | None = None) -> Markup:
    """One element; `tag` and `style` are ours, children and title may be anybody's."""
    attributes = f' style="{style}"' if style else ""
    if title is not None:
        attributes += f' title="{text(title)}"'
    return Markup(f"<{tag}{attributes}>{''.join(text(child) for child in children)}</{tag}>")


def table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> Markup:
    """A table, left-aligned, that scrolls sideways by itself."""
    cell = "text-align:left"
    head = element("tr", *(element("th", name, style=cell) for name in header))
    body = [element("tr", *(element("td", value, style=cell) for value in row)) for row in rows]
    grid = element("table", element("thead", head), element("tbody", *body), style="margin:0.3em 0")
    return element("div", grid, style="overflow-x:auto")


def link(label: str, url: str) -> Markup:
    """A link to a page of http or https; any other address is only text."""
    if not url.startswith(("http://", "https://")):
        return text(label)
    return Markup(f'<a href="{text(url)}" target="_blank" rel="noopener">{text(label)}</a>')


def command_button(label: str, command: str) -> Markup:
    """A button that runs a command of JupyterLab, one that takes no arguments; elsewhere it does nothing.

    Not a link: JupyterLab takes one for a file, and looks for that.
    """
    return Markup(f'<button type="button" data-commandlinker-command="{text(command)}">{text(label)}</button>')


def code_block(source: str) -> Markup:
    return element("pre", source, style="user-select:all;white-space:pre-wrap;margin:0.2em 0 0.6em")


def columns(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """The same table as plain text."""
    lines = [[_flat(value) for value in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _flat(value: object) -> str:
    """One line, no control characters: a log or a name must not steer a terminal."""
    shown = "" if value is None else str(value)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in shown)
