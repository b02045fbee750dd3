"""Where the text of a model was written, for those that this kernel has deployed: so that errors point there.

Memory only, and little of it: the newest texts.
"""

from __future__ import annotations

from collections import OrderedDict

from jupyter_pyserve.notebook.source import ModelSource

_MOST = 200
_sources: OrderedDict[str, ModelSource] = OrderedDict()


def remember(source: ModelSource) -> None:
    """This text is about to be deployed."""
    _sources[source.text] = source
    _sources.move_to_end(source.text)
    while len(_sources) > _MOST:
        _sources.popitem(last=False)


def source_of(text: str) -> ModelSource | None:
    """The cells that a model.py came from, if they are this kernel's."""
    return _sources.get(text)
