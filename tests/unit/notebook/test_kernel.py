"""Model cells that use names of other cells, in a real IPython shell."""

from __future__ import annotations

import linecache
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.kernel import cell_texts, complete, label_of_file
from jupyter_pyserve.notebook.source import ModelSource


def run(shell: InteractiveShell, *cells: str) -> None:
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()  # type: ignore[no-untyped-call]


def completed(text: str) -> ModelSource:
    return complete(ModelSource(text=text, label="Cell In[9]", line_offset=1))[0]


def refusal(text: str) -> str:
    with pytest.raises(PyServeError) as caught:
        completed(text)
    return caught.value.message


def executed(text: str, tmp_path: Path) -> None:
    """Run it where nothing of this kernel is known."""
    file = tmp_path / "model.py"
    file.write_text(text)
    subprocess.run([sys.executable, str(file)], check=True)


def test_a_cell_that_needs_nothing_stays_as_it_is(shell: InteractiveShell) -> None:
    source = ModelSource(text="import json\nx = json.dumps(len([y for y in ()]))\n", label="Cell In[9]", line_offset=1)
    assert complete(source) == (source, [])


def test_imports_constants_and_definitions_come_along(shell: InteractiveShell, tmp_path: Path) -> None:
    run(
        shell,
        "import numpy as np\nimport xml.etree.ElementTree\nfrom math import pi, sqrt as root\nfrom functools import *",
        "LIMITS = {'b': {3, 1, 2}, 'a': (1.5, None, b'x')}\nOFFSET = float('inf')",
        "def scale(x):\n    return root(x) + pi + helper(x)\n\ndef helper(x):\n    return x if x < OFFSET else 0\n"
        "square = lambda x: x * x\nother = helper",
    )
    source = completed(
        "class Model:\n    def execute(self, xs):\n        xml.etree.ElementTree.Element('a')\n"
        "        return np.sum([scale(square(other(x))) for x in xs]), LIMITS\n\n"
        "assert Model().execute([2.0])[0] > 9\nassert LIMITS['b'] == {1, 2, 3}\n"
    )
    assert source.text.splitlines()[:8] == [
        "# What the cell below uses of other cells of its notebook.",
        "import numpy as np",
        "import xml.etree.ElementTree",
        "from math import pi",
        "from math import sqrt as root",
        "",
        "LIMITS = {'b': {1, 2, 3}, 'a': (1.5, None, b'x')}",
        'OFFSET = float("inf")',
    ]
    executed(source.text, tmp_path)


def test_a_traceback_points_at_the_cell_that_a_line_is_from(shell: InteractiveShell) -> None:
    run(shell, "from functools import lru_cache", "SIZE = 2\n\n@lru_cache(SIZE)\ndef cached(x):\n    return 1 / x\n")
    source = completed('"""doc"""\nfrom __future__ import annotations\ndef execute(x):\n    return cached(x)\n')
    lines = source.text.splitlines()
    assert lines[:2] == ['"""doc"""', "from __future__ import annotations"]
    places = {line: source.place(number) for number, line in enumerate(lines, 1)}
    assert places["    return 1 / x"] == ("Cell In[2]", 5)
    assert places["@lru_cache(SIZE)"] == ("Cell In[2]", 3)
    assert places['"""doc"""'] == ("Cell In[9]", 2)
    assert places["    return cached(x)"] == ("Cell In[9]", 5)
    assert places["SIZE = 2"][0] == "model.py"


def test_what_a_definition_needs_when_it_is_made_stands_before_it(shell: InteractiveShell, tmp_path: Path) -> None:
    run(
        shell,
        "import enum, re, pathlib\nfrom dataclasses import dataclass, field\nfrom typing import NamedTuple",
        "class Base:\n    limit = 0\n",
        "class Color(enum.Enum):\n    RED = 1\n\n@dataclass\nclass Options:\n    color: Color = Color.RED\n"
        "    size: int = 3\n\nclass Pair(NamedTuple):\n    a: int\n    b: int\n",
        "class Derived(Base):\n    limit = helper_of_limit() if False else Base.limit\n",
        "class Base:\n    limit = 1\n",  # newer than what derives from it
        "chosen, options, pair = Color.RED, Options(size=4), Pair(1, 2)\n"
        "pattern, place = re.compile('a+', re.I), pathlib.Path('/srv')",
        "def helper_of_limit():\n    return 1",
    )
    source = completed(
        "assert (chosen, options.size, pair.b, Derived.limit) == (Color.RED, 4, 2, 1)\n"
        "assert pattern.match('AA') and str(place) == '/srv'\n"
    )
    executed(source.text, tmp_path)


def test_everything_that_can_not_come_along_is_named_at_once(shell: InteractiveShell, tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.touch()
    run(
        shell,
        f"import numpy as np, threading, types\nhandle = open({str(file)!r})\nlock = threading.Lock()\n"
        "weights = np.zeros((512, 512))\nmade = types.ModuleType('made')\nbox = types.SimpleNamespace()\n"
        "long = 'x' * 20000\ndef outer():\n    def inner(): pass\n    return inner\ninner = outer()",
        "def uses():\n    return lock, handle",
    )
    text = refusal("x = 1\ndef execute():\n    return uses(), weights, made, box, long, inner\n")
    for part in (
        "Cell In[9] uses what can't go along",
        "Cell In[2], line 2 (in uses): 'lock' is a lock, which belongs to this process",
        f"'handle' is an open file ({str(file)!r}): open it in initialize",
        "Cell In[9], line 4: 'weights' is an array of 2.0 MiB (float64, shape (512, 512)): "
        'pyserve.share("weights", weights)',
        "'made' is a module that can't be imported",
        "'box' is an object of types.SimpleNamespace",
        "'long' would take 20,002 characters",
        "'inner' is a function made inside another one",
        "--no-include",
    ):
        assert part in text
    run(shell, "handle.close()")


def test_an_equal_kernel_gives_an_equal_text(shell: InteractiveShell) -> None:
    run(shell, "words = {'b', 'a', 'c'}", "def f():\n    return words")
    first = completed("x = f()\n").text
    run(shell, "def f():\n    return words", "words = {'c', 'a', 'b'}")
    assert completed("x = f()\n").text == first
    run(shell, "words = {'c'}")
    assert completed("x = f()\n").text != first


def test_the_cells_own_names_win_and_unknown_ones_are_told(shell: InteractiveShell) -> None:
    run(shell, "lock = object()", "def f():\n    return lock")
    source, doubts = complete(ModelSource(text="lock = 1\ny = f() + nowhere\n", label="Cell In[9]", line_offset=1))
    assert "lock = 1\n" in source.text
    assert doubts == ["Cell In[9], line 3: 'nowhere' is defined neither in the cell nor in this kernel"]
    assert complete(ModelSource(text="x = get_ipython()\n", label="C"))[1] == [
        "C, line 1: 'get_ipython' is the notebook's own"
    ]


def test_a_cell_that_is_kept_as_it_was_written_may_have_magics(shell: InteractiveShell) -> None:
    run(shell, "%precision 3\ndef f():\n    return 1")
    (file,) = [name for name in shell.compile._filename_map if name in linecache.cache]
    text = "%precision 3\ndef f():\n    return 1\n"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    source = completed("x = f()\n")
    assert "def f():\n    return 1\n" in source.text
    assert source.place(source.text.splitlines().index("    return 1") + 1) == ("Cell In[1]", 3)


def test_a_star_import_may_give_anything(shell: InteractiveShell) -> None:
    run(shell, "lock = object()")
    text = "from os.path import *\nx = lock, nowhere\n"
    assert complete(ModelSource(text=text, label="C")) == (ModelSource(text=text, label="C"), [])


def test_a_file_that_is_no_cell_is_named_as_a_file(shell: InteractiveShell) -> None:
    run(shell, "def f(): pass")
    assert label_of_file("/x/model.py") == "File /x/model.py"
    found = cell_texts().definition("f")
    assert found is not None
    assert (found.label, found.first) == ("Cell In[1]", 1)
