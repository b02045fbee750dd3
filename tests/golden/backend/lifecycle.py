"""Loading and unloading: modules, initialize, auto-complete, instance names, failures (sections 2.1 to 2.6, 5.2, 5.3)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.backend.scripted import probe, scripted
from tests.golden.case import AnyCase, Case, Files, Kept, Logged, get, http, infer, post, tensor

_CONFIG = """backend: "python"
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
_BARE = 'backend: "python"\n'
_IMPORT = (
    "import json\nimport os\nimport sys\n\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n\n\n"
)
_CLASS = _IMPORT + "class TritonPythonModel:\n"
#: Tells what `told` is.
_TELLS = """
    def execute(self, requests):
        texts = np.array([str(told(self))], object)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", texts)]) for _ in requests]
"""
_TELL_CONFIG = """backend: "python"
input [ { name: "X" data_type: TYPE_FP32 dims: [ -1 ] optional: true } ]
output [ { name: "TEXT" data_type: TYPE_STRING dims: [ -1 ] } ]
"""
_EXECUTE = "    def execute(self, requests):\n        return []\n"


def _model(code: str, config: str = _CONFIG) -> Files:
    return {"config.pbtxt": config, "1/model.py": code}


def _initialize(body: str) -> Files:
    return _model(f"{_CLASS}    def initialize(self, args):\n        {body}\n\n{_EXECUTE}")


def _complete(*edits: str, config: str = _BARE, decorator: str = "@staticmethod", returns: str = "c") -> Files:
    """A model whose auto_complete_config does that; `told` is the configuration that initialize() got."""
    body = "".join(f"        {edit}\n" for edit in edits)
    return _model(
        f"{_IMPORT}def told(model):\n    return model.args['model_config']\n\n\nclass TritonPythonModel:\n"
        f"    {decorator}\n    def auto_complete_config(c):\n{body}        return {returns}\n\n"
        f"    def initialize(self, args):\n        self.args = args\n{_TELLS}",
        config,
    )


def _telling(told: str, config: str = _TELL_CONFIG, before: str = "", **files: str) -> Files:
    made = _model(
        f"{_IMPORT}{before}\n\ndef told(model):\n    return {told}\n\n\nclass TritonPythonModel:\n"
        f"    def initialize(self, args):\n        self.args = args\n{_TELLS}",
        config,
    )
    return {**made, **files}


#: Fail while they are loaded, or only seem to.
BROKEN: dict[str, Files] = {
    "init_text_error": _initialize("raise ValueError('é ✓ \"quoted\"\\nsecond line')"),
    "init_no_message": _initialize("raise ValueError"),
    "init_exit_text": _initialize("sys.exit('out')"),
    "init_keyboard_interrupt": _initialize("raise KeyboardInterrupt"),
    "init_model_exception": _initialize("raise pb_utils.TritonModelException('mine')"),
    "init_raises_triton_error": _initialize("raise pb_utils.TritonError('mine')"),
    "init_bad_tensor": _initialize("pb_utils.Tensor('', np.zeros(1))"),
    "init_bls": _initialize("pb_utils.InferenceRequest(model_name='m', inputs=[], requested_output_names=[]).exec()"),
    "init_bls_decoupled": _initialize(
        "pb_utils.InferenceRequest(model_name='m', inputs=[], requested_output_names=[]).exec(decoupled=True)"
    ),
    "init_two_arguments": _model(f"{_CLASS}    def initialize(self, args, more):\n        pass\n\n{_EXECUTE}"),
    "init_not_callable": _model(f"{_CLASS}    initialize = 5\n\n{_EXECUTE}"),
    "init_nested": _model(
        f"{_CLASS}    def initialize(self, args):\n        self.helper()\n\n"
        f"    def helper(self):\n        raise RuntimeError('deep')\n\n{_EXECUTE}"
    ),
    "init_undefined": _initialize("nothing_of_the_kind"),
    "init_attribute": _initialize("args.model_name"),
    "init_chained": _model(
        f"{_CLASS}    def initialize(self, args):\n        try:\n            1 / 0\n"
        f"        except ZeroDivisionError as error:\n            raise RuntimeError('outer') from error\n\n{_EXECUTE}"
    ),
    "init_killed": _initialize("os.kill(os.getpid(), 9)"),
    "constructor_arguments": _model(f"{_CLASS}    def __init__(self, args):\n        pass\n\n{_EXECUTE}"),
    "constructor_exits": _model(f"{_CLASS}    def __init__(self):\n        sys.exit(1)\n\n{_EXECUTE}"),
    "class_is_a_function": _model(f"{_IMPORT}def TritonPythonModel():\n    return None\n"),
    "class_is_none": _model("TritonPythonModel = None\n"),
    "class_body_raises": _model(f"{_CLASS}    x = 1 / 0\n\n{_EXECUTE}"),
    "module_exits": _model("import sys\nsys.exit(4)\n"),
    "module_empty": _model(""),
    "module_bad_encoding": _model("x = '\\ud800'.encode()\n"),
    "module_sibling_missing": _model(f"from . import sibling\n{_CLASS}{_EXECUTE}"),
    "module_sibling_raises": {
        **_model(f"from . import sibling\n{_CLASS}{_EXECUTE}"),
        "1/sibling.py": "raise OSError('sibling')\n",
    },
    "module_tensor_at_import": _model(f"{_IMPORT}x = pb_utils.no_such_thing\n{_EXECUTE}"),
    "file_not_py": {"config.pbtxt": _CONFIG + 'default_model_filename: "model.txt"\n', "1/model.txt": "x\n"},
    "file_dotted": {"config.pbtxt": _CONFIG + 'default_model_filename: "a.b.py"\n', "1/a.b.py": _CLASS + _EXECUTE},
    "complete_text": _complete("pass", returns="'text'"),
    "complete_dict": _complete("pass", returns="c.as_dict()"),
    "complete_exits": _complete("sys.exit(3)"),
    "complete_smaller_batch": _complete("c.set_max_batch_size(2)", config=_CONFIG + "max_batch_size: 4\n"),
    "complete_missing_type": _complete("c.add_input({'name': 'A', 'dims': [1]})"),
    "complete_missing_dims": _complete("c.add_output({'name': 'A', 'data_type': 'TYPE_FP32'})"),
    "complete_missing_name": _complete("c.add_input({'data_type': 'TYPE_FP32', 'dims': [1]})"),
    "complete_policy_property": _complete("c.set_model_transaction_policy({'x': 1})"),
    "complete_policy_conflict": _complete(
        "c.set_model_transaction_policy({'decoupled': True})",
        config=_CONFIG + "model_transaction_policy { decoupled: false }\n",
    ),
    "complete_dynamic_conflict": _complete("c.set_dynamic_batching()", config=_CONFIG + "sequence_batching { }\n"),
    "complete_dims_minus_two": _complete("c.add_input({'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [-2]})"),
    "complete_negative_batch": _complete("c.as_dict()['max_batch_size'] = -1"),
    "complete_input_twice": _complete(
        "c.as_dict()['input'] = [{'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [1]}] * 2"
    ),
    "parameter_force_cpu": _model(
        _CLASS + _EXECUTE,
        _CONFIG + 'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value: { string_value: "maybe" } }\n',
    ),
    "parameter_env_missing": _model(
        _CLASS + _EXECUTE,
        _CONFIG + 'parameters { key: "EXECUTION_ENV_PATH" value: { string_value: "/there/is/no/such.tar.gz" } }\n',
    ),
    "parameter_env_unactivated": {
        **_model(
            _CLASS + _EXECUTE,
            _CONFIG
            + 'parameters { key: "EXECUTION_ENV_PATH" value: { string_value: "$$TRITON_MODEL_DIRECTORY/env" } }\n',
        ),
        "env/readme": "no activate script\n",
    },
}

_GROUPS = {
    "group_absent": "",
    "group_unnamed": "instance_group [ { kind: KIND_CPU } ]\n",
    "group_named": 'instance_group [ { name: "mine" kind: KIND_CPU } ]\n',
    "group_model_kind": "instance_group [ { kind: KIND_MODEL } ]\n",
    "group_auto": "instance_group [ { kind: KIND_AUTO } ]\n",
}
_ARGS = "{k: v for k, v in model.args.items() if k not in ('model_config', 'model_repository')}"

#: Say something about themselves.
TELLING: dict[str, Files] = {
    **{name: _telling(_ARGS, _TELL_CONFIG + group) for name, group in _GROUPS.items()},
    "group_count": _telling(
        "model.args['model_instance_name'][:-1]", _TELL_CONFIG + "instance_group [ { count: 2 } ]\n"
    ),
    "args_types": _telling("{k: type(v).__name__ for k, v in model.args.items()}"),
    "args_repository": _telling("model.args['model_repository']"),
    "args_config": _telling("model.args['model_config']"),
    "module_names": _telling("(__name__, __file__, __package__, type(model).__module__)"),
    "module_import_time": _telling(
        "seen",
        before="seen = [hasattr(pb_utils, n) for n in ('serialize_byte_tensor', 'triton_string_to_numpy', 'get_input_tensor_by_name')]",
    ),
    "module_siblings": _telling(
        "(relative.x, sibling.x, relative is sibling)",
        before="from . import sibling as relative\nimport sibling",
        **{"1/sibling.py": "x = 5\n"},
    ),
    "module_package": _telling(
        "helper.x",
        before="from .package import helper",
        **{"1/package/__init__.py": "", "1/package/helper.py": "x = 6\n"},
    ),
    "module_in_model_directory": _telling("outside.x", before="import outside", **{"outside.py": "x = 7\n"}),
    "module_path": _telling("[p.rpartition('/repository/')[2] for p in sys.path if '/repository/' in p]"),
    "module_filename": {
        "config.pbtxt": _TELL_CONFIG + 'default_model_filename: "other.py"\n',
        "1/other.py": _telling("(__name__, __file__)")["1/model.py"],
    },
    "module_working_directory": _telling("os.getcwd() == os.environ['PWD']"),
    "module_model_dir": _telling("pb_utils.get_model_dir()"),
    "model_without_config": {
        "1/model.py": _complete(
            "c.add_input({'name': 'X', 'data_type': 'TYPE_FP32', 'dims': [1], 'optional': True})",
            "c.add_output({'name': 'TEXT', 'data_type': 'TYPE_STRING', 'dims': [-1]})",
        )["1/model.py"]
    },
    "static_methods": _model(
        f"{_IMPORT}def told(model):\n    return 'static'\n\n\nclass TritonPythonModel:\n    @staticmethod"
        + _TELLS.replace("execute(self, requests)", "execute(requests)").replace("told(self)", "told(0)"),
        _TELL_CONFIG,
    ),
    "class_method_initialize": _model(
        f"{_IMPORT}def told(model):\n    return sorted(model.args)[0]\n\n\nclass TritonPythonModel:\n    @classmethod\n"
        f"    def initialize(cls, args):\n        cls.args = args\n{_TELLS}",
        _TELL_CONFIG,
    ),
    "initialize_async": _model(
        f"{_IMPORT}def told(model):\n    return hasattr(model, 'args')\n\n\nclass TritonPythonModel:\n"
        f"    async def initialize(self, args):\n        self.args = args\n{_TELLS}",
        _TELL_CONFIG,
    ),
    "initialize_absent": _model(
        f"{_IMPORT}def told(model):\n    return 'no initialize'\n\n\nclass TritonPythonModel:{_TELLS}", _TELL_CONFIG
    ),
    "initialize_returns": _model(
        f"{_IMPORT}def told(model):\n    return 'returned'\n\n\nclass TritonPythonModel:\n"
        f"    def initialize(self, args):\n        return 5\n{_TELLS}",
        _TELL_CONFIG,
    ),
    "constructor_before_initialize": _model(
        f"{_IMPORT}def told(model):\n    return model.order\n\n\nclass TritonPythonModel:\n"
        "    def __init__(self):\n        self.order = ['init']\n\n"
        f"    def initialize(self, args):\n        self.order.append('initialize')\n{_TELLS}",
        _TELL_CONFIG,
    ),
    "force_cpu_yes": _telling(
        "'forced'",
        _TELL_CONFIG + 'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value: { string_value: "yes" } }\n',
    ),
    "force_cpu_no": _telling(
        "'not forced'",
        _TELL_CONFIG + 'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value: { string_value: "no" } }\n',
    ),
    "warmed_up": _model(
        f"{_IMPORT}def told(model):\n    model.calls = getattr(model, 'calls', 0) + 1\n    return model.calls\n\n\n"
        f"class TritonPythonModel:{_TELLS}",
        _TELL_CONFIG
        + 'model_warmup [ { name: "W" batch_size: 1 count: 2 inputs { key: "X" value: { data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } } } ]\n',
    ),
}

_X = "c.add_input({'name': 'X', 'data_type': 'TYPE_FP32', 'dims': [1], 'optional': True})"
_T = "c.add_output({'name': 'TEXT', 'data_type': 'TYPE_STRING', 'dims': [-1]})"

#: What auto-complete makes of their configuration is looked at.
COMPLETED: dict[str, Files] = {
    "merge_tensors": _complete(_X, _T),
    "merge_batch": _complete(_X, _T, "c.set_max_batch_size(4)"),
    "merge_batch_grown": _complete("c.set_max_batch_size(8)", config=_TELL_CONFIG + "max_batch_size: 2\n"),
    "merge_dynamic": _complete(_X, _T, "c.set_max_batch_size(4)", "c.set_dynamic_batching()"),
    "merge_dynamic_unbatched": _complete(_X, _T, "c.set_dynamic_batching()"),
    "merge_dynamic_kept": _complete(
        "c.set_dynamic_batching()",
        config=_TELL_CONFIG + "max_batch_size: 2\ndynamic_batching { max_queue_delay_microseconds: 7 }\n",
    ),
    "merge_decoupled": _complete(_X, _T, "c.set_model_transaction_policy({'decoupled': True})"),
    "merge_not_decoupled": _complete(_X, _T, "c.set_model_transaction_policy({'decoupled': False})"),
    "merge_empty_policy": _complete(_X, _T, "c.set_model_transaction_policy({})"),
    "merge_nothing": _complete("pass", config=_TELL_CONFIG),
    "merge_extra_key": _complete("c.as_dict()['colour'] = 'red'", config=_TELL_CONFIG),
    "merge_parameters": _complete("c.as_dict()['parameters'] = {'k': {'string_value': 'v'}}", config=_TELL_CONFIG),
    "merge_instance_group": _complete(
        "c.as_dict()['instance_group'] = [{'kind': 'KIND_CPU', 'count': 3}]", config=_TELL_CONFIG
    ),
    "merge_name": _complete("c.as_dict()['name'] = 'somebody'", config=_TELL_CONFIG),
    "merge_unknown_type": _complete(
        "c.add_input({'name': 'Y', 'data_type': 'FLOAT', 'dims': [1]})", config=_TELL_CONFIG
    ),
    "merge_bad_dims": _complete(
        "c.add_input({'name': 'Y', 'data_type': 'TYPE_FP32', 'dims': ['one']})", config=_TELL_CONFIG
    ),
    "merge_float_dims": _complete(
        "c.add_input({'name': 'Y', 'data_type': 'TYPE_FP32', 'dims': [1.5]})", config=_TELL_CONFIG
    ),
    "merge_inputs_replaced": _complete(
        "c.as_dict()['input'] = [{'name': 'Z', 'data_type': 'TYPE_INT8', 'dims': [2]}]", config=_TELL_CONFIG
    ),
    "merge_inputs_removed": _complete("c.as_dict()['input'] = []", config=_TELL_CONFIG),
    "merge_input_made_optional": _complete(
        "c.add_input({'name': 'INPUT0', 'data_type': 'TYPE_FP32', 'dims': [-1], 'optional': True})", config=_CONFIG
    ),
    "merge_sequence": _complete("c.as_dict()['sequence_batching'] = {}", config=_TELL_CONFIG),
    "merge_class_method": _model(
        _complete(_X, _T)["1/model.py"].replace("@staticmethod", "@classmethod").replace("config(c)", "config(cls, c)"),
        _BARE,
    ),
    "merge_version_policy": _complete("c.as_dict()['version_policy'] = {'all': {}}", config=_TELL_CONFIG),
    "merge_filename": _complete("c.as_dict()['default_model_filename'] = 'x.py'", config=_TELL_CONFIG),
}

#: Say something while they are unloaded; only the log shows it.
FINALIZED: dict[str, Files] = {
    "finalize_logs": _model(
        f"{_CLASS}    def finalize(self):\n        pb_utils.Logger.log_info('golden: finalized')\n\n{_EXECUTE}"
    ),
    "finalize_raises": _model(
        f"{_CLASS}    def finalize(self):\n        raise ValueError('golden: at the end')\n\n{_EXECUTE}"
    ),
    "finalize_bls": _model(
        f"{_CLASS}    def finalize(self):\n        try:\n            pb_utils.InferenceRequest(model_name='m', inputs=[],"
        " requested_output_names=[]).exec()\n        except BaseException as error:\n"
        f"            pb_utils.Logger.log_info(f'golden: {{error}}')\n\n{_EXECUTE}"
    ),
}

MODELS: Mapping[str, Files] = {**BROKEN, **TELLING, **COMPLETED, **FINALIZED, "script": scripted()}

#: On Triton the load may never end.
HANGING: dict[str, Files] = {
    "warmup_fails": _model(
        _CLASS + "    def execute(self, requests):\n        raise ValueError('cold')\n",
        _CONFIG
        + 'model_warmup [ { name: "W" batch_size: 1 inputs { key: "INPUT0" value: { data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } } } ]\n',
    ),
    "file_missing": {"config.pbtxt": _CONFIG, "1/other.py": ""},
    "complete_dies": _complete("os._exit(1)"),
    "complete_killed": _complete("os.kill(os.getpid(), 9)"),
}


def load(name: str, model: str, *, timeout_s: float = 30.0) -> Case:
    request = http("POST", f"/v2/repository/models/{model}/load")
    return Case(name=name, request=request, kept=Kept.BODY, timeout_s=timeout_s)


def _served(model: str) -> Case:
    request = http("GET", f"/v2/models/{model}/config")
    return Case(name=f"{model}_config", request=request, kept=Kept.BODY)


def _told(model: str) -> Case:
    request = http("POST", f"/v2/models/{model}/infer", b'{"inputs":[]}')
    return Case(name=f"{model}_told", request=request, kept=Kept.OUTPUTS)


def _told_batched(model: str) -> Case:
    body = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,1],"data":[0]}]}'
    return Case(name=f"{model}_told", request=http("POST", f"/v2/models/{model}/infer", body), kept=Kept.OUTPUTS)


_SILENT = ("merge_decoupled", "merge_inputs_replaced", "merge_input_made_optional", "merge_sequence")
_BATCHED = ("merge_batch", "merge_batch_grown", "merge_dynamic", "merge_dynamic_kept")

CASES: tuple[AnyCase, ...] = (
    *(load(f"load_{name}", name) for name in BROKEN),
    *(case for name in TELLING for case in (load(f"load_{name}", name), _told(name))),
    *(
        case
        for name in COMPLETED
        for case in (
            load(f"load_{name}", name),
            _served(name),
            *(() if name in _SILENT else ((_told_batched(name),) if name in _BATCHED else (_told(name),))),
        )
    ),
    load("load_script", "script"),
    probe("loaded_again", "self.kept.setdefault('n', 0)"),
    load("load_again", "script"),
    get("lifecycle_ready", "/v2/models/script/ready"),
    *(case for name in FINALIZED for case in (load(f"load_{name}", name), post(f"unload_{name}", f"/v2/repository/models/{name}/unload"))),
    get("finalized_live", "/v2/health/live", settled=True),
    Logged(name="finalized_log", word="golden: "),
)  # fmt: skip

TINY: Mapping[str, Files] = {
    "tiny": _model(
        _CLASS
        + "    def execute(self, requests):\n        return [pb_utils.InferenceResponse([pb_utils.Tensor('OUTPUT0',"
        " r.inputs()[0].as_numpy())]) for r in requests]\n"
    )
}

#: Each of these is an option of the backend, tried on a server of its own.
SETTINGS: dict[str, tuple[str, ...]] = {
    "shm_default_small": ("shm-default-byte-size=1000",),
    "shm_default_text": ("shm-default-byte-size=much",),
    "shm_growth_zero": ("shm-growth-byte-size=0",),
    "stub_timeout_zero": ("stub-timeout-seconds=0",),
    "threads_zero": ("thread-pool-size=0",),
    "prefix_empty": ("shm-region-prefix-name=",),
    "unknown": ("there-is-no-such-key=1",),
    "all_fine": ("shm-default-byte-size=2097152", "shm-growth-byte-size=2097152", "stub-timeout-seconds=10", "thread-pool-size=4"),
}  # fmt: skip


def setting_cases(name: str) -> tuple[AnyCase, ...]:
    return (
        load(f"setting_{name}", "tiny"),
        infer(f"setting_{name}_infer", "tiny", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    )
