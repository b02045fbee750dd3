from __future__ import annotations

import numpy as np
import pytest

from jupyter_pyserve.notebook.inclusion.remedies import nbytes_text, remedy, too_long


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2 << 20, "2.0 MiB"), (5 << 40, "5120.0 GiB")],
)
def test_sizes(nbytes: int, text: str) -> None:
    assert nbytes_text(nbytes) == text


def test_an_array_is_to_be_shared() -> None:
    assert 'is an array of 12 bytes (float32, shape (3,)): pyserve.share("w", w)' in remedy("w", np.ones(3, np.float32))
    assert remedy("f", np.float32).startswith("has no source")
    assert 'pyserve.share("t"' in too_long("t", 20_000)
