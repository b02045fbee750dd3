"""A model's complete configuration, as a client sees it."""

from __future__ import annotations

import pytest

from tests.support.transport import Refused, Transport


def test_what_the_file_says_and_what_was_added(transport: Transport) -> None:
    config = transport.config("batched")
    assert config["name"] == "batched"
    assert config["max_batch_size"] == 4
    assert config["input"][0]["dims"] == [-1]
    assert config["dynamic_batching"]["preferred_batch_size"] == [4]
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 100_000_000
    assert [(group["name"], group["kind"], group["count"]) for group in config["instance_group"]] == [
        ("batched", "KIND_CPU", 1)
    ]
    assert config["default_model_filename"] == "model.py"


def test_parameters(transport: Transport) -> None:
    assert transport.config("args")["parameters"] == {"colour": {"string_value": "green"}}


def test_what_the_model_completed(transport: Transport) -> None:
    config = transport.config("auto_complete")
    assert config["max_batch_size"] == 4
    assert [item["optional"] for item in config["input"]] == [False, True]
    assert "dynamic_batching" in config


def test_of_one_version(transport: Transport) -> None:
    assert transport.config("versions", "10") == transport.config("versions")


def test_of_nobody(transport: Transport) -> None:
    with pytest.raises(Refused) as refusal:
        transport.config("nobody")
    assert refusal.value.status == 404
    assert refusal.value.message == "Request for unknown model: 'nobody' is not found"
