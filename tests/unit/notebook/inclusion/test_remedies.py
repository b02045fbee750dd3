from __future__ import annotations

import numpy as np

from jupyter_pyserve.notebook.inclusion.remedies import remedy, too_long


def test_an_array_is_to_be_shared() -> None:
    assert 'is an array of 12 B (float32, shape (3,)): pyserve.share("w", w)' in remedy("w", np.ones(3, np.float32))
    assert remedy("f", np.float32).startswith("has no source")
    assert 'pyserve.share("t"' in too_long("t", 20_000)
