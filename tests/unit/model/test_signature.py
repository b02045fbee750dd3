"""What requests are checked against."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.model.signature import Signature, TensorSpec, config_datatype, protocol_datatype

TEXT = """
max_batch_size: 4
input [
  { name: "A" data_type: TYPE_FP32 dims: [ -1, 2 ] },
  { name: "B" data_type: TYPE_STRING dims: [ 1 ] optional: true },
  { name: "C" data_type: TYPE_BF16 dims: [ -1 ] allow_ragged_batch: true },
  { name: "D" data_type: TYPE_INT8 dims: [ 4 ] reshape { shape: [ 2, 2 ] } }
]
output { name: "O" data_type: TYPE_BOOL dims: [ 1 ] reshape { } }
model_transaction_policy { decoupled: true }
"""


def test_a_configuration_is_compiled() -> None:
    signature = Signature.from_config(parse_pbtxt(TEXT, model_name="m", path="p"))
    assert signature == Signature(
        model_name="m",
        max_batch_size=4,
        inputs={
            "A": TensorSpec(name="A", datatype="FP32", dims=(-1, 2)),
            "B": TensorSpec(name="B", datatype="BYTES", dims=(1,), optional=True),
            "C": TensorSpec(name="C", datatype="BF16", dims=(-1,), ragged=True),
            "D": TensorSpec(name="D", datatype="INT8", dims=(4,), reshape=(2, 2)),
        },
        outputs={"O": TensorSpec(name="O", datatype="BOOL", dims=(1,), reshape=())},
        decoupled=True,
        input_count=4,
        required=frozenset("ACD"),
        batch_keys=("A",),
    )


def test_a_name_listed_twice_still_counts_twice() -> None:
    text = 'input { name: "A" data_type: TYPE_FP32 dims: 1 } input { name: "A" data_type: TYPE_FP32 dims: 1 }'
    signature = Signature.from_config(parse_pbtxt(text, model_name="m", path="p"))
    assert (signature.input_count, len(signature.inputs)) == (2, 1)


@pytest.mark.parametrize(
    ("in_config", "in_protocol"),
    [("TYPE_FP32", "FP32"), ("TYPE_STRING", "BYTES"), ("TYPE_INVALID", ""), ("TYPE_BF16", "BF16")],
)
def test_data_types_have_two_spellings(in_config: str, in_protocol: str) -> None:
    assert protocol_datatype(in_config) == in_protocol
    assert config_datatype(in_protocol) == in_config
