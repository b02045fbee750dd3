"""Model control from inside a model (section 1.13)."""

from __future__ import annotations

from tests.golden.backend.calling import ADD
from tests.golden.backend.scripted import probe, scripted
from tests.golden.case import AnyCase, Files

_CONFIG = '{"backend": "python", "max_batch_size": 0, "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [3]}], "output": [{"name": "OUT", "data_type": "TYPE_FP32", "dims": [3]}]}'
_MODEL = """import numpy as np
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([9], np.float32))]) for _ in requests]
"""

#: Those that the server refuses come last: on Triton they may end it.
_CALLS = {
    "ready": "pb_utils.is_model_ready('script')",
    "ready_version": "pb_utils.is_model_ready('script', '1')",
    "ready_keyword": "pb_utils.is_model_ready(model_name='script', model_version='1')",
    "ready_not_loaded": "pb_utils.is_model_ready('add')",
    "load": "[pb_utils.load_model('add'), pb_utils.is_model_ready('add')]",
    "load_again": "[pb_utils.load_model('add'), pb_utils.is_model_ready('add')]",
    "load_then_call": "call('add', ('X', np.array([1], np.float32))).exec()",
    "load_config": f"[pb_utils.load_model('add', config={_CONFIG!r}), call('add', ('X', np.zeros(2, np.float32))).exec()]",
    "load_files_other_version": f"[pb_utils.load_model('add', config={_CONFIG!r}, files={{'file:5/model.py': {_MODEL.encode()!r}}}), pb_utils.is_model_ready('add', '5'), pb_utils.is_model_ready('add', '1')]",
    "load_back": "[pb_utils.load_model('add'), call('add', ('X', np.array([1], np.float32))).exec()]",
    "load_files": f"[pb_utils.load_model('add', config={_CONFIG!r}, files={{'file:1/model.py': {_MODEL.encode()!r}}}), call('add', ('X', np.zeros(3, np.float32))).exec()]",
    "load_back_again": "[pb_utils.load_model('add'), call('add', ('X', np.array([1], np.float32))).exec()]",
    "load_in_thread": "out = []\nt = threading.Thread(target=lambda: out.append(outcome(pb_utils.load_model, 'add')))\nt.start(); t.join()\n[out, pb_utils.is_model_ready('add')]",
    "load_keywords": "pb_utils.load_model(model_name='add', config='', files=None)",
    "unload_keyword": "[pb_utils.unload_model(model_name='add', unload_dependents=False)]",
    "call_unloaded": "time.sleep(1.5)\ncall('add', ('X', np.array([1], np.float32))).exec()",
    "ready_unloaded": "pb_utils.is_model_ready('add')",
    "ready_unknown": "pb_utils.is_model_ready('nobody')",
    "ready_missing_version": "pb_utils.is_model_ready('script', '9')",
    "ready_version_text": "pb_utils.is_model_ready('script', 'one')",
    "ready_version_leading_number": "pb_utils.is_model_ready('script', '1abc')",
    "ready_version_negative": "pb_utils.is_model_ready('script', '-1')",
    "ready_version_zero": "pb_utils.is_model_ready('script', '0')",
    "ready_version_number": "pb_utils.is_model_ready('script', 1)",
    "ready_empty_name": "pb_utils.is_model_ready('')",
    "ready_none": "pb_utils.is_model_ready(None)",
    "ready_nothing": "pb_utils.is_model_ready()",
    "load_unknown": "pb_utils.load_model('nobody')",
    "load_empty_name": "pb_utils.load_model('')",
    "load_none": "pb_utils.load_model(None)",
    "load_nothing": "pb_utils.load_model()",
    "load_broken": "pb_utils.load_model('broken')",
    "ready_broken": "pb_utils.is_model_ready('broken')",
    "load_config_dict": "pb_utils.load_model('add', {})",
    "load_config_bad_json": "pb_utils.load_model('add', '{')",
    "load_config_empty": "pb_utils.load_model('add', config='')",
    "load_config_invalid": 'pb_utils.load_model(\'add\', config=\'{"backend": "python", "input": [{"name": "X"}]}\')',
    "ready_after_bad_config": "pb_utils.is_model_ready('add')",
    "load_files_list": "pb_utils.load_model('add', '{}', [1])",
    "load_files_text_value": "pb_utils.load_model('add', '{}', {'file:1/model.py': 'text'})",
    "load_files_number_key": "pb_utils.load_model('add', '{}', {1: b'x'})",
    "load_files_without_config": f"pb_utils.load_model('add', files={{'file:1/model.py': {_MODEL.encode()!r}}})",
    "load_files_bad_key": f"pb_utils.load_model('add', config={_CONFIG!r}, files={{'1/model.py': b'x'}})",
    "unload_unknown": "pb_utils.unload_model('nobody')",
    "unload_empty_name": "pb_utils.unload_model('')",
    "unload_nothing": "pb_utils.unload_model()",
    "unload_none": "pb_utils.unload_model(None)",
    "unload_dependents_text": "pb_utils.unload_model('add', 'yes')",
    "load_unknown_keyword": "pb_utils.load_model('add', colour=1)",
}
CASES: tuple[AnyCase, ...] = tuple(probe(f"control_{name}", text) for name, text in _CALLS.items())
FIXED: tuple[AnyCase, ...] = (
    probe("control_fixed_load", "pb_utils.load_model('script')"),
    probe("control_fixed_unload", "pb_utils.unload_model('script')"),
    probe("control_fixed_ready", "pb_utils.is_model_ready('script')"),
)
MODELS: dict[str, Files] = {
    "script": scripted(),
    "add": ADD,
    "broken": {**ADD, "1/model.py": "raise ValueError('broken')\n"},
}
