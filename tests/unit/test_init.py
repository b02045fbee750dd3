"""The package's root: what notebooks, Jupyter Server and JupyterLab find there, and the one name it defends."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import pytest

import jupyter_pyserve

ROOT = Path(jupyter_pyserve.__file__).parents[1]


def test_labextension_is_installed_under_its_npm_name() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text(encoding="utf-8"))
    assert jupyter_pyserve._jupyter_labextension_paths() == [{"src": "labextension", "dest": package["name"]}]


def test_version_is_the_one_of_the_front_end() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text(encoding="utf-8"))
    assert jupyter_pyserve.__version__ in {package["version"], "0.0.0"}


def test_server_extension_points_at_the_application() -> None:
    extension = importlib.import_module("jupyter_pyserve.transports.jupyter.extension")
    points = jupyter_pyserve._jupyter_server_extension_points()
    assert points == [{"module": "jupyter_pyserve", "app": extension.PyServeExtension}]


def test_offers_what_the_notebook_layer_offers() -> None:
    notebook = importlib.import_module("jupyter_pyserve.notebook")
    offered = set(jupyter_pyserve.__all__) - {"__version__"}
    assert offered == set(notebook.__all__)
    for name in offered:
        assert getattr(jupyter_pyserve, name) is getattr(notebook, name)
        assert name in dir(jupyter_pyserve)


def test_model_stays_a_function_when_the_subpackage_is_imported() -> None:
    importlib.import_module("jupyter_pyserve.model")
    assert inspect.isfunction(jupyter_pyserve.model)
    from jupyter_pyserve.model import lifecycle

    assert lifecycle.__name__ == "jupyter_pyserve.model.lifecycle"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="'jupyter_pyserve' has no attribute 'nonsense'"):
        _ = jupyter_pyserve.nonsense
