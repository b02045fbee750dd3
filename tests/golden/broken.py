"""Models that must not load, by what is wrong: a config for a working model.py, or a model.py for a working config."""

from __future__ import annotations

_INPUT = 'input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]\n'
_OUTPUT = 'output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]\n'
_PYTHON = 'backend: "python"\n'
_BOTH = _PYTHON + _INPUT + _OUTPUT
_BATCHED = _BOTH + "max_batch_size: 8\n"

BROKEN_CONFIGS: dict[str, str] = {
    # read and refused while the repository is polled
    "config_not_pbtxt": "this is { not a config",
    "config_unknown_field": _BOTH + "colour: 3\n",
    "config_wrong_type": _BOTH + 'max_batch_size: "eight"\n',
    "config_two_schedulers": _BATCHED + "dynamic_batching { }\nsequence_batching { }\n",
    "config_other_name": _BOTH + 'name: "somebody_else"\n',
    "config_negative_batch": _BOTH + "max_batch_size: -1\n",
    "config_unknown_platform": 'platform: "weird"\n' + _INPUT + _OUTPUT,
    "config_preferred_zero": _BATCHED + "dynamic_batching { preferred_batch_size: [ 0 ] }\n",
    "config_preferred_large": _BATCHED + "dynamic_batching { preferred_batch_size: [ 9 ] }\n",
    "config_priority_default": _BATCHED + "dynamic_batching { priority_levels: 2 default_priority_level: 3 }\n",
    # refused while the model is made
    "config_unknown_backend": 'backend: "nope"\n' + _INPUT + _OUTPUT,
    "config_unknown_runtime": _BOTH + 'runtime: "nope.so"\n',
    "config_input_nameless": _PYTHON + "input [ { data_type: TYPE_FP32 dims: [ 1 ] } ]\n" + _OUTPUT,
    "config_input_typeless": _PYTHON + 'input [ { name: "INPUT0" dims: [ 1 ] } ]\n' + _OUTPUT,
    "config_input_dimless": _PYTHON + 'input [ { name: "INPUT0" data_type: TYPE_FP32 } ]\n' + _OUTPUT,
    "config_input_dim_zero": _PYTHON + 'input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 0 ] } ]\n' + _OUTPUT,
    "config_input_dim_minus_two": _PYTHON
    + 'input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -2 ] } ]\n'
    + _OUTPUT,
    "config_output_nameless": _PYTHON + _INPUT + "output [ { data_type: TYPE_FP32 dims: [ 1 ] } ]\n",
    "config_output_typeless": _PYTHON + _INPUT + 'output [ { name: "OUTPUT0" dims: [ 1 ] } ]\n',
    "config_output_dimless": _PYTHON + _INPUT + 'output [ { name: "OUTPUT0" data_type: TYPE_FP32 } ]\n',
    "config_format_dims": _PYTHON
    + 'input [ { name: "INPUT0" data_type: TYPE_FP32 format: FORMAT_NHWC dims: [ 1 ] } ]\n'
    + _OUTPUT,
    "config_shape_tensor": _PYTHON
    + 'input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 1 ] is_shape_tensor: true } ]\n'
    + _OUTPUT,
    "config_reshape_size": _PYTHON
    + 'input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] reshape { shape: [ 3 ] } } ]\n'
    + _OUTPUT,
    "config_reshape_empty": _PYTHON
    + 'input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } } ]\n'
    + _OUTPUT,
    "config_label_missing": _PYTHON
    + _INPUT
    + 'output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] label_filename: "absent.txt" } ]\n',
    "config_cpu_with_gpus": _BOTH + "instance_group [ { kind: KIND_CPU gpus: [ 0 ] } ]\n",
    "config_model_with_gpus": _BOTH + "instance_group [ { kind: KIND_MODEL gpus: [ 0 ] } ]\n",
    "config_gpu_without_gpus": _BOTH + "instance_group [ { kind: KIND_GPU } ]\n",
    "config_gpu_unknown": _BOTH + "instance_group [ { kind: KIND_GPU gpus: [ 5 ] } ]\n",
    "config_profile": _BOTH + 'instance_group [ { kind: KIND_CPU profile: [ "0" ] } ]\n',
    "config_no_version_chosen": _BOTH + "version_policy { specific { versions: [ 7 ] } }\n",
    "config_latest_none": _BOTH + "version_policy { latest { num_versions: 0 } }\n",
}

_IMPORT = "import triton_python_backend_utils as pb_utils\n\n"
_CLASS = _IMPORT + "class TritonPythonModel:\n"
_EXECUTE = "    def execute(self, requests):\n        return []\n"

BROKEN_CODE: dict[str, str] = {
    "code_syntax_error": "class TritonPythonModel\n    pass\n",
    "code_indentation": "class TritonPythonModel:\npass\n",
    "code_import_error": "import there_is_no_such_module\n",
    "code_raises": 'raise ValueError("at import")\n',
    "code_no_class": _IMPORT + "class Model:\n" + _EXECUTE,
    "code_constructor_raises": _CLASS
    + '    def __init__(self):\n        raise RuntimeError("no construction")\n'
    + _EXECUTE,
    "code_initialize_raises": _CLASS
    + '    def initialize(self, args):\n        raise ValueError("not today")\n'
    + _EXECUTE,
    "code_initialize_key_error": _CLASS + '    def initialize(self, args):\n        args["absent"]\n' + _EXECUTE,
    "code_initialize_exits": _IMPORT
    + "import sys\n\nclass TritonPythonModel:\n    def initialize(self, args):\n        sys.exit(3)\n"
    + _EXECUTE,
    "code_initialize_arity": _CLASS + "    def initialize(self):\n        pass\n" + _EXECUTE,
    "code_initialize_dies": _IMPORT
    + "import os\n\nclass TritonPythonModel:\n    def initialize(self, args):\n        os._exit(1)\n"
    + _EXECUTE,
    "code_complete_raises": _CLASS
    + '    @staticmethod\n    def auto_complete_config(config):\n        raise ValueError("incomplete")\n\n'
    + _EXECUTE,
    "code_complete_none": _CLASS
    + "    @staticmethod\n    def auto_complete_config(config):\n        return None\n\n"
    + _EXECUTE,
    "code_complete_arity": _CLASS + "    def auto_complete_config(self, config):\n        return config\n\n" + _EXECUTE,
    "code_complete_bad_dims": _CLASS
    + "    @staticmethod\n    def auto_complete_config(config):\n"
    + '        config.add_input({"name": "INPUT1", "data_type": "TYPE_FP32", "dims": [0]})\n        return config\n\n'
    + _EXECUTE,
    "code_complete_bad_key": _CLASS
    + "    @staticmethod\n    def auto_complete_config(config):\n"
    + '        config.add_input({"name": "INPUT1", "dtype": "TYPE_FP32", "dims": [1]})\n        return config\n\n'
    + _EXECUTE,
    "code_complete_clash": _CLASS
    + "    @staticmethod\n    def auto_complete_config(config):\n"
    + '        config.add_input({"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [-1]})\n        return config\n\n'
    + _EXECUTE,
}

UNVERSIONED = ("no_version",)
