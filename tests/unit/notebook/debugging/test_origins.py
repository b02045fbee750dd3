from __future__ import annotations

from jupyter_pyserve.notebook.debugging import origins
from jupyter_pyserve.notebook.source import ModelSource


def test_the_newest_texts_are_known() -> None:
    sources = [ModelSource(text=f"x = {number}", label=f"Cell In[{number}]") for number in range(origins._MOST + 1)]
    for source in sources:
        origins.remember(source)
    assert origins.source_of("x = 0") is None
    assert origins.source_of("x = 1") is sources[1]
    again = ModelSource(text="x = 1", label="Cell In[999]")
    origins.remember(again)
    assert origins.source_of("x = 1") is again
    origins.remember(ModelSource(text="x", label="Cell In[1000]"))
    assert origins.source_of("x = 1") is again  # the newest now, not the oldest
    assert origins.source_of("x = 2") is None
