from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.argument_types import tensor
from jupyter_pyserve.notebook.config_text import ConfigOptions
from jupyter_pyserve.notebook.source import ModelSource, SourceFacts
from jupyter_pyserve.notebook.workbench import Workbench, WrittenModel

FACTS = SourceFacts(has_class=True, has_execute=True, has_auto_complete=False)
OPTIONS = ConfigOptions(inputs=(tensor("A:FP32:1"),), outputs=(tensor("B:FP32:1"),))


def _written(options: ConfigOptions = ConfigOptions(), text: str = "") -> WrittenModel:  # noqa: B008 - frozen
    return WrittenModel(source=ModelSource(text=text, label="Cell In[1]"), facts=FACTS, options=options)


def test_the_latest_cell_wins() -> None:
    bench = Workbench()
    bench.put_model("m", _written(OPTIONS, "old"))
    bench.put_model("m", _written(OPTIONS, "new"))
    assert bench.model("m").source.text == "new"
    assert 'name: "A"' in bench.config("m")
    assert bench.names() == ["m"]


def test_a_configuration_cell_goes_with_a_model_cell_in_either_order() -> None:
    bench = Workbench()
    bench.put_config("m", "name: 'first'")
    bench.put_model("m", _written())
    assert bench.config("m") == "name: 'first'"
    bench.put_config("m", "name: 'second'")
    assert bench.config("m") == "name: 'second'"


def test_options_and_configuration_cells_replace_each_other() -> None:
    bench = Workbench()
    bench.put_config("m", "name: 'cell'")
    bench.put_model("m", _written(OPTIONS))
    assert 'name: "A"' in bench.config("m")
    bench.put_config("m", "name: 'cell'")
    assert bench.config("m") == "name: 'cell'"
    bench.put_model("m", _written(OPTIONS))
    bench.put_model("m", _written())
    with pytest.raises(PyServeError, match="nothing says which inputs and outputs model 'm' has"):
        bench.config("m")
    bench.put_model("m", _written(), config="name: 'file'")
    assert bench.config("m") == "name: 'file'"


def test_an_unknown_model_says_which_there_are() -> None:
    bench = Workbench()
    with pytest.raises(PyServeError, match="none yet") as caught:
        bench.model("m")
    assert caught.value.code is Code.NOT_FOUND
    bench.put_model("a", _written())
    bench.put_model("b", _written())
    with pytest.raises(PyServeError, match=r"no cell of this kernel holds a model 'm' \(there are: a, b\)"):
        bench.config("m")
