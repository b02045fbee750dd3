from __future__ import annotations

from jupyter_pyserve.notebook.debugging.stacks import Stacks
from jupyter_pyserve.notebook.payloads import StackInfo

BUSY: StackInfo = {"stack": "Thread 0x1\n  File <x>, line 3 in execute\n", "request": "r7", "since_s": 61.25}


def test_each_instance_says_where_it_is() -> None:
    idle: StackInfo = {"stack": "Thread 0x2", "request": "", "since_s": None}
    shown = Stacks({"m_0": BUSY, "m_1": idle, "m_2": "it is gone"})
    assert shown.plain() == (
        "m_0 has been executing request 'r7' for 1 min 1 s\nThread 0x1\n  File <x>, line 3 in execute\n\n"
        "m_1 executes nothing\nThread 0x2\n\nm_2 does not say where it is\nit is gone"
    )
    assert "File &lt;x&gt;" in shown.html()
    assert "<b>m_1</b> executes nothing" in shown.html()
    assert shown["m_1"] == "Thread 0x2"
    nameless: StackInfo = {**BUSY, "request": ""}
    assert "has been executing a request for" in Stacks({"m_0": nameless}).plain()
