"""Every option of the engine, from Jupyter's configuration to its command line."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from traitlets import TraitError
from traitlets.config import Config

from jupyter_pyserve.cli import build_parser
from jupyter_pyserve.options.engine import engine_settings, listen_settings
from jupyter_pyserve.settings import EngineSettings, KeepaliveSettings, LogFormat
from jupyter_pyserve.transports.jupyter.config import PyServe
from jupyter_pyserve.transports.jupyter.engine_traits import OPTIONS, words

SAID = {
    "log_verbose": 1,
    "log_info": False,
    "log_format": "ISO8601",
    "allow_client_shm": True,
    "disable_auto_complete_config": True,
    "load_model": ["a", "b"],
    "backend_config": ["python,stub-timeout-seconds=5"],
    "http_restricted_api": ["trace:key=secret", "logging:key=secret"],
    "http_max_input_size": 99,
    "metrics_config": ["summary_latencies=true"],
    "metrics_interval_ms": 500.0,
    "rate_limit": "execution_count",
    "id": "mine",
}


def options(config: PyServe) -> Namespace:
    command = config.spec(runtime_dir=Path("/run/x"), http_fd=7, lane_fd=8, token="t").command.argv
    return build_parser().parse_args(command[3:])


def settings(config: PyServe) -> EngineSettings:
    return engine_settings(options(config))


def test_nothing_is_said_of_what_is_as_always(tmp_path: Path) -> None:
    assert words(PyServe(root_dir=str(tmp_path))) == []


def test_what_is_configured_is_what_the_engine_is_told(tmp_path: Path) -> None:
    found = settings(PyServe(root_dir=str(tmp_path), config=Config({"PyServe": SAID})))
    assert found.log.verbose_level == 1
    assert not found.log.info
    assert found.log.format is LogFormat.ISO8601
    assert found.allow_client_shm
    assert not found.auto_complete
    assert found.load_models == ("a", "b")
    assert found.backend_config == (("python", "stub-timeout-seconds", "5"),)
    assert found.http_max_input_nbytes == 99
    assert found.metrics.summary_latencies
    assert found.metrics.interval_s == 0.5
    assert found.rate_limit
    assert found.server_id == "mine"


def test_times_of_grpc_are_milliseconds_here_too(tmp_path: Path) -> None:
    assert PyServe(root_dir=str(tmp_path)).grpc_keepalive_time == 7_200_000
    said = {"grpc_keepalive_time": 5000, "grpc_keepalive_timeout": 1500, "grpc_max_connection_age": 2500}
    found = listen_settings(options(PyServe(root_dir=str(tmp_path), config=Config({"PyServe": said}))), token="t")
    assert found.grpc.keepalive == KeepaliveSettings(time_s=5.0, timeout_s=1.5, max_connection_age_s=2.5)


def test_a_number_that_is_not_set_may_be_set(tmp_path: Path) -> None:
    found = PyServe(root_dir=str(tmp_path), response_cache_byte_size=1048576)
    assert words(found) == ["--response-cache-byte-size=1048576"]
    assert found.grpc_max_connection_age is None


def test_engine_args_have_the_last_word(tmp_path: Path) -> None:
    assert settings(PyServe(root_dir=str(tmp_path), id="mine", engine_args=["--id=theirs"])).server_id == "theirs"


def test_a_value_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraitError):
        PyServe(root_dir=str(tmp_path), log_verbose="loud")


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_a_trait_that_says_what_it_is_for(name: str) -> None:
    trait = PyServe.class_traits(config=True)[name]
    assert trait.help.startswith(f"`--{name.replace('_', '-')}`: ")


def test_where_it_listens_is_not_left_to_options() -> None:
    assert not {"http_address", "allow_http", "model_control_mode", "runtime_dir"} & set(OPTIONS)
