from __future__ import annotations

import json
import struct

import pytest

from jupyter_pyserve.telemetry.traces import Front, Part, TracedTensor, TraceRecord, compute_events, render

IN = TracedTensor("IN", "FP32", (1, 2), struct.pack("<2f", 1.5, -0.1))
OUT = TracedTensor("OUT", "INT32", (2,), struct.pack("<2i", 7, -1))


def record(front: Front, *levels: str) -> TraceRecord:
    """A request that was answered once, by a model that called another."""
    first = Part(
        id=2,
        parent_id=0,
        model="m",
        version=1,
        request_id="abc",
        request_start_ns=30,
        queue_start_ns=31,
        request_end_ns=51,
        inputs=[IN],
        outputs=[OUT, 45],
        computes=[(40, 41, 42, 50)],
    )
    child = Part(id=3, parent_id=2, model="n", version=4, request_start_ns=32, queue_start_ns=33, request_end_ns=34)
    return TraceRecord(levels=levels, front=front, received_ns=(10, 20), parts=[first, child], sent_ns=[[60, 61]])


def names(text: str, number: int) -> list[str]:
    """What is said of one part, in its order: names of timestamps, and of other records what they are."""
    found = []
    for item in json.loads(f"[{text}]"):
        if item["id"] == number:
            stamps = [stamp["name"] for stamp in item.get("timestamps", ())]
            found += stamps or [item.get("activity") or "MODEL"]
    return found


TENSORS = ["TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT"]
CORE = ["MODEL", "REQUEST_START", "QUEUE_START"]
COMPUTE = ["COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END", "REQUEST_END"]


def test_the_text_of_records() -> None:
    text = render([record(Front.HTTP, "TIMESTAMPS", "TENSORS")])
    assert text.startswith(
        '{"id":3,"model_name":"n","model_version":4,"parent_id":2},'
        '{"id":3,"timestamps":[{"name":"REQUEST_START","ns":32}]},'
    )
    assert '{"id":2,"model_name":"m","model_version":1,"request_id":"abc"},' in text
    assert (
        '{"id":2,"activity":"TENSOR_QUEUE_INPUT",'
        '"tensor":{"name":"IN","data":"1.5,-0.1","shape":"1,2","dtype":"FP32"}},' in text
    )
    assert text.endswith('{"id":2,"timestamps":[{"name":"HTTP_SEND_END","ns":61}]}')


def test_the_order_of_a_request_over_http() -> None:
    text = render([record(Front.HTTP, "TIMESTAMPS", "TENSORS")])
    answered = [*TENSORS, "INFER_RESPONSE_COMPLETE"]
    around = ["HTTP_RECV_START", "HTTP_RECV_END"], ["HTTP_SEND_START", "HTTP_SEND_END"]
    assert names(text, 2) == [*around[0], *CORE, *answered, *COMPUTE, *around[1]]
    assert names(text, 3) == [*CORE, "REQUEST_END"]


def test_the_order_of_a_request_over_grpc() -> None:
    traced = record(Front.GRPC, "TIMESTAMPS")
    traced.parts[0].outputs.append(46)
    traced.sent_ns.append([62, 63])
    sent = ["GRPC_SEND_START", "GRPC_SEND_END"] * 2
    received = ["GRPC_WAITREAD_START", "GRPC_WAITREAD_END", "INFER_RESPONSE_COMPLETE"]
    assert names(render([traced]), 2) == [*CORE, *TENSORS, *COMPUTE, *received, *sent]


def test_a_lane_has_no_timestamps_of_its_own() -> None:
    assert names(render([record(Front.LANE, "TIMESTAMPS")]), 2) == [*CORE, *TENSORS, *COMPUTE]
    assert list(record(Front.LANE).completed_ns()) == []


def test_tensors_alone() -> None:
    assert names(render([record(Front.HTTP, "TENSORS")]), 2) == TENSORS


def test_what_has_not_left_has_no_time() -> None:
    traced = record(Front.HTTP, "TIMESTAMPS")
    traced.sent_ns = [[60, 0]]
    assert names(render([traced]), 2)[-1] == "HTTP_SEND_START"


def test_several_traces_are_one_list() -> None:
    text = render([record(Front.HTTP, "TENSORS"), record(Front.HTTP, "TENSORS")])
    assert len(json.loads(f"[{text}]")) == 4


@pytest.mark.parametrize(
    ("datatype", "data", "text"),
    [
        ("BOOL", b"\x00\x01\x07", "0,1,1"),
        ("INT8", b"\xff\x41", "-1,65"),
        ("UINT8", b"\xff\x00", "255,0"),
        ("INT16", struct.pack("<h", -300), "-300"),
        ("UINT16", struct.pack("<H", 65535), "65535"),
        ("UINT32", struct.pack("<I", 2**32 - 1), "4294967295"),
        ("INT64", struct.pack("<q", -(2**63)), "-9223372036854775808"),
        ("UINT64", struct.pack("<Q", 2**64 - 1), "18446744073709551615"),
        ("FP16", b"\x00\x3c", ""),
        ("BF16", b"\x80\x3f", ""),
        ("FP32", struct.pack("<3f", 0.1, 1e10, float("nan")), "0.1,1e+10,nan"),
        ("FP64", struct.pack("<2d", 1 / 3, float("-inf")), "0.333333,-inf"),
        ("BYTES", b'\x01\0\0\0a\x03\0\0\0b"c', '"a","b"c"'),
        ("BYTES", b"\x02\0\0\0\xff\x0a\x09\0\0\0cut", '"\\xff\n"'),
    ],
)
def test_the_text_of_data(datatype: str, data: bytes, text: str) -> None:
    traced = record(Front.HTTP, "TENSORS")
    traced.parts[0].inputs = [TracedTensor("IN", datatype, (-1,), data)]
    (item, *_) = json.loads(f"[{render([traced])}]")
    assert item["tensor"] == {"name": "IN", "data": text, "shape": "-1", "dtype": datatype}


def test_executions_have_four_times() -> None:
    (events,) = compute_events(record(Front.HTTP).parts[0])
    assert events[0] == ("COMPUTE_START", 40)
    assert events[-1] == ("COMPUTE_END", 50)
