from __future__ import annotations

from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.metadata import IndexRow
from tests.unit.v2.echo import signature


def test_server_metadata_as_triton_writes_it() -> None:
    assert metadata.server_metadata("triton", "2.51.0") == (
        b'{"name":"triton","version":"2.51.0","extensions":["classification","sequence","model_repository",'
        b'"model_repository(unload_dependents)","schedule_policy","model_configuration","system_shared_memory",'
        b'"cuda_shared_memory","binary_tensor_data","parameters","statistics","trace","logging"]}'
    )


def test_model_metadata_shows_the_batch_dimension() -> None:
    batched = signature("m", 1, I=("FP32", (4,)))
    assert metadata.model_metadata(batched, versions=["1", "3"], platform="python") == (
        b'{"name":"m","versions":["1","3"],"platform":"python",'
        b'"inputs":[{"name":"I","datatype":"FP32","shape":[-1,4]}],'
        b'"outputs":[{"name":"O","datatype":"FP32","shape":[-1,4]}]}'
    )
    plain = metadata.model_metadata_dict(signature("m", 0, I=("BYTES", (-1,))), versions=[], platform="python")
    assert plain["inputs"] == [{"name": "I", "datatype": "BYTES", "shape": [-1]}]


def test_index_leaves_out_what_is_empty() -> None:
    rows = [
        IndexRow(name="a"),
        IndexRow(name="b", version="2", state="UNAVAILABLE", reason="unloaded"),
        IndexRow(name="b", version="10", state="READY"),
    ]
    assert metadata.index(rows) == (
        b'[{"name":"a"},{"name":"b","version":"2","state":"UNAVAILABLE","reason":"unloaded"},'
        b'{"name":"b","version":"10","state":"READY"}]'
    )
    assert metadata.index(rows, ready_only=True) == b'[{"name":"b","version":"10","state":"READY"}]'


def test_config_and_statistics_pass_through() -> None:
    assert metadata.model_config({"name": "m", "dims": [-1]}) == b'{"name":"m","dims":[-1]}'
    assert metadata.statistics([{"name": "m"}]) == b'{"model_stats":[{"name":"m"}]}'


def test_errors_are_escaped() -> None:
    assert metadata.error('no "x"\n') == b'{"error":"no \\"x\\"\\n"}'
