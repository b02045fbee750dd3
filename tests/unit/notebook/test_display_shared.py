"""Shared arrays in what `%pyserve status` shows."""

from __future__ import annotations

from jupyter_pyserve.notebook.display import EngineView


def test_shared_arrays_are_shown_with_who_uses_them() -> None:
    shared = {"name": "<w>", "dtype": "<f4", "shape": [2, 3], "nbytes": 3 << 20, "references": ["kernel 1", "m/m_0"]}
    view = EngineView({"engine": {"shared": [shared]}, "models": []})  # type: ignore[list-item]
    assert view.plain().splitlines()[-2:] == [
        "SHARED ARRAY  TYPE        SIZE     USED BY",
        "<w>           <f4 [2, 3]  3.0 MiB  kernel 1, m/m_0",
    ]
    assert "&lt;w&gt;" in view._repr_html_()
    assert "SHARED" not in EngineView({"engine": {}, "models": []}).plain()
