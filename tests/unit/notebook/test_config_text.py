from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.notebook.argument_types import tensor
from jupyter_pyserve.notebook.config_text import ConfigOptions, config_for, read_config_file
from jupyter_pyserve.notebook.source import SourceFacts

PLAIN = SourceFacts(has_class=True, has_execute=True, has_auto_complete=False)
AUTO = SourceFacts(has_class=True, has_execute=True, has_auto_complete=True)
UNKNOWN = SourceFacts(has_class=None, has_execute=None, has_auto_complete=None)


def test_options_become_a_configuration() -> None:
    options = ConfigOptions(
        inputs=(tensor("A:FP32:-1"),),
        outputs=(tensor("B:BYTES:2,3"),),
        max_batch_size=8,
        instances=2,
        kind="CPU",
        max_queue_delay_us=100,
        decoupled=True,
        parameters={"k": 'a"b'},
    )
    config = parse_pbtxt(config_for("m", options, PLAIN), model_name="m", path="config.pbtxt")
    assert (config.name, config.max_batch_size, config.decoupled) == ("m", 8, True)
    assert [(i.name, i.data_type, tuple(i.dims)) for i in config.inputs] == [("A", "TYPE_FP32", (-1,))]
    assert [(o.name, o.data_type, tuple(o.dims)) for o in config.outputs] == [("B", "TYPE_STRING", (2, 3))]
    assert dict(config.parameters) == {"k": 'a"b'}


def test_without_options_the_written_text_is_it() -> None:
    assert config_for("m", ConfigOptions(), PLAIN, written="name: 'm'\n") == "name: 'm'\n"


@pytest.mark.parametrize("facts", [AUTO, UNKNOWN])
def test_a_class_that_may_complete_it_needs_no_more(facts: SourceFacts) -> None:
    assert parse_pbtxt(config_for("m", ConfigOptions(), facts), model_name="m", path="p").backend == "python"


def test_nothing_at_all_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(PyServeError) as caught:
        config_for("m", ConfigOptions(instances=2), PLAIN)
    for way in ("--input", "%%pyserve config m", "--config FILE", "auto_complete_config"):
        assert way in caught.value.message


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.pbtxt"
    file.write_text("name: 'é'\n", encoding="utf-8")
    assert read_config_file(file) == "name: 'é'\n"
    file.write_bytes(b"\xff")
    for path in (file, tmp_path / "none", tmp_path):
        with pytest.raises(PyServeError, match="can't be read"):
            read_config_file(path)
