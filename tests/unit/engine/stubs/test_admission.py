from __future__ import annotations

from jupyter_pyserve.engine.stubs.admission import Admission
from jupyter_pyserve.model.lifecycle import AdmissionState


def test_from_open_to_drained_and_back() -> None:
    told: list[bool] = []
    empty = False
    admission = Admission(lambda: empty, told.append)
    assert (admission.open, admission.state) == (True, AdmissionState.OPEN)
    admission.drain()
    assert (admission.open, admission.state) == (False, AdmissionState.DRAINING)
    empty = True
    assert admission.state is AdmissionState.DRAINED
    admission.drain()
    assert admission.state is AdmissionState.DRAINED
    admission.resume()
    assert (admission.open, admission.state) == (True, AdmissionState.OPEN)
    assert told == [False, False, True]


def test_it_may_resume_before_it_is_empty() -> None:
    admission = Admission(lambda: False, lambda taking: None)
    admission.drain()
    admission.resume()
    assert admission.state is AdmissionState.OPEN
