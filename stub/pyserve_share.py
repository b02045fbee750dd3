"""`shared("weights")`: one read-only copy of an array for all processes of a model.

Under jupyter_pyserve it is the memory that a notebook shared under that name. Anywhere else, on Triton for one, it is
`shared/weights.npy` beside model.py, mapped from the file; an export brings that file, and this module, along.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

_arrays: dict[str, np.ndarray[Any, Any]] = {}


def shared(name: str) -> np.ndarray[Any, Any]:
    """The array of that name, the same one at every call. It can't be changed; `.copy()` can."""
    array = _arrays.get(name)
    if array is None:
        model_file = sys._getframe(1).f_globals.get("__file__") or __file__
        array = _arrays[name] = _load(name, os.path.dirname(os.path.abspath(model_file)))
    return array


def _load(name: str, directory: str) -> np.ndarray[Any, Any]:
    try:
        from pyserve_stub.host import get_host
        from pyserve_stub.vocabulary import TritonModelException
    except ImportError:  # not under jupyter_pyserve
        why = ""
    else:
        try:
            array = get_host().shared_array(name)
        except TritonModelException as error:
            why = f" ({error})"
        else:
            why = ""
            if array is not None:
                return array  # type: ignore[no-any-return]
    path = os.path.join(directory, "shared", os.path.basename(name) + ".npy")
    if not os.path.isfile(path):
        raise LookupError(
            f"no shared array '{name}': call pyserve.share(\"{name}\", array) in the notebook and deploy again, "
            f"or put {path} there{why}"
        )
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
