"""A replay says where its model is for the rest of the kernel's life; these tests are not all of a process's life."""

from __future__ import annotations

import pytest
import triton_python_backend_utils as pb_utils


@pytest.fixture(autouse=True)
def _where_models_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pb_utils, "get_model_dir", pb_utils.get_model_dir)
