"""An exported model in another server, where no kernel shares anything."""

from __future__ import annotations

import numpy as np
import pytest

from jupyter_pyserve.notebook import sharing
from jupyter_pyserve.notebook.exporting import write_model
from tests.process.client import outputs
from tests.process.engine import Engine
from tests.process.test_shared_arrays import CONFIG, MODEL


def test_it_answers_from_the_files_beside_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "array_of", {"weights": np.array([5, 6], np.float32)}.get)
    write_model(engine.repository, "exported", MODEL, CONFIG.format(instances=1, extra=""), overwrite=False)
    engine.load("exported")
    answer = outputs(engine.infer("exported", {"IN": np.array([1, 0])}))
    assert answer["OUT"].tolist() == [6, 5]
    assert engine.http.post("/api/models/exported/undeploy", {"delete": True}).status == 200
