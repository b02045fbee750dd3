"""Where a model's processes are in their code, as a notebook shows it. Values in, text out."""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, code_block, element
from jupyter_pyserve.notebook.payloads import StackInfo


class Stacks(View):
    """The stacks of some instances, by their names; a text for one that could not show its own."""

    def __init__(self, found: Mapping[str, StackInfo | str]) -> None:
        self.found = dict(found)

    def __getitem__(self, instance: str) -> str:
        """The stacks of one, as text."""
        found = self.found[instance]
        return found if isinstance(found, str) else found["stack"]

    def html(self) -> Markup:
        parts = [
            element("div", element("b", name), f" {_doing(found)}", code_block(self[name]))
            for name, found in self.found.items()
        ]
        return element("div", *parts)

    def plain(self) -> str:
        parts = [f"{name} {_doing(found)}\n{self[name]}".rstrip() for name, found in self.found.items()]
        return "\n\n".join(parts)


def _doing(found: StackInfo | str) -> str:
    if isinstance(found, str):
        return "does not say where it is"
    if found["since_s"] is None:
        return "executes nothing"
    request = f" request '{found['request']}'" if found["request"] else " a request"
    return f"has been executing{request} for {figures.seconds(found['since_s'])}"
