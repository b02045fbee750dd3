"""A live view of a cell: what the front end draws, and beside it a picture that stays in the saved notebook.

The picture is an output of its own, which the view hides while it is drawn: a reader without this kernel, or without
JavaScript, sees it in the view's place. Owns both outputs and who looks; what is shown is the subclasses' matter.
"""

from __future__ import annotations

import itertools
import time
import uuid
import weakref
from collections.abc import Mapping
from typing import Any

from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.widgets import front_end
from jupyter_pyserve.notebook.widgets.scripts import script, style

#: How old the picture in the notebook may become while the view is watched.
PICTURE_S = 60.0
#: How often a view is asked whether it is still there, and how long an idle kernel waits for its answer.
_ASK_S, _ANSWER_S = 60.0, 10.0

_VIEW = "application/vnd.jupyter.widget-view+json"
# A view that is gone leaves a complaint in its output; the picture is enough.
_HUSH = ".jp-OutputArea:has(.{name}) .jp-OutputArea-output.jupyter-widgets:not(:has(*)){{display:none}}"

_shown: weakref.WeakSet[Live] = weakref.WeakSet()


class Live:
    """Shows itself as the value of a cell. `stop` ends the reading, `close` leaves only the picture."""

    #: Which script draws it.
    kind = ""

    def __init__(self) -> None:
        self.id = f"pyserve-{uuid.uuid4().hex[:12]}"
        self._widget: Any = None
        self._place = front_end.Cell()
        self._outputs: list[Any] = []
        self._lookers: set[str] = set()
        self._pictured_s = 0.0
        self._asked = itertools.count(1)
        self._unanswered = 0

    # -- for subclasses ------------------------------------------------------------------------------------------------

    def picture(self) -> View:
        """What is shown where nothing can be live."""
        raise NotImplementedError

    def begin(self) -> None:
        """Somebody looks: start, and send everything."""

    def rest(self) -> None:
        """Nobody looks."""

    def received(self, content: Mapping[str, Any]) -> None:
        """A message of the view."""

    def send(self, content: Mapping[str, Any]) -> None:
        """A message to the view, in whichever thread."""
        widget = self._widget
        if widget is not None:
            widget.send(content)

    def keep_picture(self, *, at_once: bool = True) -> None:
        """Put the present state into the notebook; not `at_once` if it has a recent one."""
        now_s = time.monotonic()
        if len(self._outputs) == 2 and (at_once or now_s - self._pictured_s >= PICTURE_S):
            self._pictured_s = now_s
            self._outputs[1].update(self._picture_bundle(), raw=True)

    # -- for everybody -------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show it here; where nothing can be drawn, once, as it is now."""
        from IPython.display import display

        if not front_end.is_there():
            display(self.picture())  # type: ignore[no-untyped-call]
            return
        if self._widget is None:
            self._open()
        if self._outputs:  # one more place; the picture stays in the first
            display(self._view_bundle(), raw=True)  # type: ignore[no-untyped-call]
            return
        for bundle in (self._view_bundle(), self._picture_bundle()):
            self._outputs.append(display(bundle, raw=True, display_id=True))  # type: ignore[no-untyped-call]
        self._pictured_s = time.monotonic()

    def stop(self) -> None:
        """End what goes on; the view says so, and offers to go on."""
        self.rest()
        self.keep_picture()
        self.send({"type": "stopped"})

    def close(self) -> None:
        """End it, and leave the picture."""
        self.rest()
        self._lookers.clear()
        widget, self._widget = self._widget, None
        if widget is None:
            return
        _shown.discard(self)
        self.keep_picture()
        if self._outputs:
            self._outputs[0].update({"text/plain": "", "text/html": ""}, raw=True)
        self._outputs = []
        widget.close()

    def _ipython_display_(self) -> None:
        self.show()

    def __repr__(self) -> str:
        return self.picture().plain()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        import anywidget
        import traitlets

        members = {
            "_esm": script(self.kind),
            "_css": style(),
            "picture": traitlets.Unicode(self.id).tag(sync=True),
        }
        self._widget = type("LiveView", (anywidget.AnyWidget,), members)()
        self._widget.on_msg(self._on_message)
        self._place, before = front_end.cell(), list(_shown)
        for live in before:
            if live is not self and live._place.is_replaced_by(self._place):
                live.abandon()
        _shown.add(self)
        front_end.on_interrupt(stop_all)

    def abandon(self) -> None:
        """Its cell has run again: its outputs are gone."""
        self._outputs = []
        self.close()

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        if not isinstance(content, dict):
            return
        kind, looker = content.get("type"), str(content.get("view"))
        if kind == "visible":
            self._lookers.add(looker)
            self.begin()
            self._ask_later()
        elif kind == "hidden":
            self._lookers.discard(looker)
            self._rest_alone()
        elif kind == "here":
            self._unanswered = 0
        else:
            self.received(content)

    def _rest_alone(self) -> None:
        if not self._lookers:
            self.rest()
            self.keep_picture()

    def _ask_later(self) -> None:
        """A page that is closed says nothing, so views are asked; a kernel that works can't hear them, and waits."""
        number = next(self._asked)
        self._unanswered = 0

        def ask() -> None:
            if self._lookers and self._latest == number:
                self._unanswered = number
                self.send({"type": "there?"})
                front_end.call_later(_ANSWER_S, settle)

        def settle() -> None:  # an answer that came while a cell ran is read before the second of these
            front_end.call_later(0.5, judge)

        def judge() -> None:
            if self._latest != number:
                return
            if self._unanswered:
                self._lookers.clear()
                self._rest_alone()
            else:
                self._ask_later()

        self._latest = number
        front_end.call_later(_ASK_S, ask)

    _latest = 0

    def _view_bundle(self) -> dict[str, Any]:
        return {
            "text/plain": "",
            _VIEW: {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id},
        }

    def _picture_bundle(self) -> dict[str, str]:
        view = self.picture()
        hush = f"<style>{_HUSH.format(name=self.id)}</style>"
        html = f'<div class="{self.id} pyserve-picture">{hush}{view.html()}</div>'
        return {"text/plain": view.plain(), "text/html": html}


def stop_all() -> None:
    """Every view that goes on in this kernel."""
    for live in list(_shown):
        if live._lookers:
            live.stop()
