from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_pyserve import app, cli
from jupyter_pyserve.options import engine
from jupyter_pyserve.options.types import parse_bool
from jupyter_pyserve.settings import (
    ControlMode,
    EngineSettings,
    ListenSettings,
    LogFormat,
    LogSettings,
    MetricsSettings,
)

SERVE = ["serve", "--model-repository=/m"]
ENGINE = ["engine", "--model-repository=/m", "--runtime-dir=/r", "--http-fd=7", "--lane-fd=8"]


class Runs:
    """What `app.run` was called with."""

    def __init__(self) -> None:
        self.settings = EngineSettings()
        self.listen = ListenSettings()
        self.announce = False

    def run(self, settings: EngineSettings, listen: ListenSettings, *, announce: bool) -> int:
        self.settings, self.listen, self.announce = settings, listen, announce
        return 7


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(app, "run", made.run)
    monkeypatch.setattr(engine, "count_gpus", lambda visible: 0 if visible is None else len(visible.split(",")))
    for name in ("PYSERVE_TOKEN", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_defaults_are_the_settings_own(runs: Runs) -> None:
    assert cli.main(SERVE) == 7
    assert runs.settings == EngineSettings(model_repositories=("/m",))
    assert runs.listen == ListenSettings()
    assert not runs.announce


def test_options_of_tritons(runs: Runs) -> None:
    options = [
        "--model-store=/n",
        "--model-control-mode=explicit",
        "--load-model=a",
        "--load-model=b",
        "--id=me",
        "--exit-on-error=false",
        "--exit-timeout-secs=5",
        "--strict-readiness=0",
        "--disable-auto-complete-config",
        "--http-max-input-size=99",
        "--http-port=1234",
        "--http-address=::1",
        "--reuse-http-port=on",
    ]
    cli.main([*SERVE, *options])
    assert runs.settings == EngineSettings(
        server_id="me",
        model_repositories=("/m", "/n"),
        control_mode=ControlMode.EXPLICIT,
        load_models=("a", "b"),
        auto_complete=False,
        exit_on_error=False,
        exit_timeout_s=5.0,
        strict_readiness=False,
        http_max_input_nbytes=99,
    )
    assert runs.listen == ListenSettings(http_port=1234, http_address="::1", reuse_http_port=True)


@pytest.mark.parametrize(
    ("arguments", "overridden"),
    [
        (["--strict-model-config=true"], False),
        (["--strict-model-config=false", "--disable-auto-complete-config"], True),
        (["--strict-model-config=true", "--disable-auto-complete-config"], False),
    ],
)
def test_the_old_option_of_strictness_says_what_to_write(
    arguments: list[str], overridden: bool, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*SERVE, *arguments])
    assert not runs.settings.auto_complete
    deprecated, *more = capsys.readouterr().err.splitlines()
    assert deprecated == (
        "Warning: '--strict-model-config' has been deprecated! Please use '--disable-auto-complete-config' instead."
    )
    assert (
        more
        == [
            "Warning: Overriding deprecated '--strict-model-config' from False to True in favor of "
            "'--disable-auto-complete-config'!"
        ]
        * overridden
    )


def test_options_of_the_log(runs: Runs) -> None:
    words = ["--log-info=false", "--log-warning=0", "--log-error=off", "--log-verbose=3", "--log-format=ISO8601"]
    cli.main([*SERVE, *words, "--log-file=/l"])
    assert runs.settings.log == LogSettings(
        info=False, warning=False, error=False, verbose_level=3, format=LogFormat.ISO8601, file="/l"
    )


def test_options_of_metrics(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    config = [
        "counter_latencies=false",
        "summary_latencies=TRUE",
        "summary_quantiles=0.1:0.0.1,0.75:0.01,0:1,1:1",
        "new=1",
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    words = [
        "--allow-cpu-metrics=0",
        "--allow-gpu-metrics=0",
        "--metrics-interval-ms=500",
        "--pinned-memory-pool-byte-size=1024",
    ]
    words += [word for setting in config for word in ("--metrics-config", setting)]
    cli.main([*SERVE, *words, "--metrics-port=1234", "--metrics-address=::1"])
    assert runs.settings.metrics == MetricsSettings(
        interval_s=0.5,
        cpu=False,
        gpu=False,
        visible_gpus="1,2",
        counter_latencies=False,
        summary_latencies=True,
        summary_quantiles=(0.1, 0.75, 0.0, 1.0),
        pinned_pool_nbytes=1024,
    )
    assert runs.settings.gpu_count == 2
    assert (runs.listen.metrics_address, runs.listen.metrics_port) == ("::1", 1234)


def test_no_metrics(runs: Runs) -> None:
    cli.main([*SERVE, "--allow-metrics=false"])
    assert runs.listen.metrics_port is None


def test_options_of_backends(runs: Runs) -> None:
    cli.main([*SERVE, "--backend-config=python,a=b", "--backend-config", "c=d", "--backend-config=x,f=g=h,i"])
    assert runs.settings.backend_config == (("python", "a", "b"), ("", "c", "d"), ("x", "f", "g=h,i"))


def test_no_http(runs: Runs) -> None:
    cli.main([*SERVE, "--allow-http=false"])
    assert runs.listen.http_port is None


def test_what_jupyter_starts(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSERVE_TOKEN", "s3cret")
    cli.main(ENGINE)
    assert runs.announce
    assert runs.listen == ListenSettings(
        http_port=0, grpc_port=0, metrics_port=None, http_fd=7, lane_fd=8, runtime_dir="/r", token="s3cret"
    )
    assert "PYSERVE_TOKEN" not in os.environ  # models must not find it


def test_a_server_of_ones_own_takes_no_token_from_the_environment(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSERVE_TOKEN", "s3cret")
    cli.main(SERVE)
    assert runs.listen.token == ""


def test_what_is_accepted_without_effect_is_said(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SERVE, "--http-thread-count=3", "--allow-sagemaker=1"]) == 7
    told = "accepted, but without effect so far: --http-thread-count, --allow-sagemaker\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["serve"], "error: creating server: Invalid argument - --model-repository must be specified"),
        (
            [*SERVE, "--load-model=a"],
            "Error: Use of '--load-model' requires setting '--model-control-mode=explicit' as well.",
        ),
        (
            [*SERVE, "--model-control-mode=explicit", "--load-model=*", "--load-model=a"],
            "error: creating server: Invalid argument - Wildcard model name '*' must be the ONLY startup model "
            "if specified at all.",
        ),
        ([*SERVE, "--exit-on-error=maybe"], 'Bad option: "--exit-on-error".\ninvalid value for bool option: maybe'),
        ([*SERVE, "--log-format=foo"], 'Bad option: "--log-format".\ninvalid argument for --log-format'),
        (
            [*SERVE, "--metrics-config", "foo"],
            'Bad option: "--metrics-config".\n--metrics-config option format is <setting>=<value>. Got foo',
        ),
        *(
            ([*SERVE, f"--metrics-config={text}"], f"--metrics-config option format is <setting>=<value>. Got {text}")
            for text in ("=x", "x=")
        ),
        ([*SERVE, "--metrics-config=summary_quantiles=1.1:0.1"], "are pairs of <quantile>:<error>. Got 1.1:0.1"),
        ([*SERVE, "--metrics-config=summary_quantiles=-0.1:0.1"], "are pairs of <quantile>:<error>. Got -0.1:0.1"),
        ([*SERVE, "--metrics-config=summary_quantiles=2:0.1"], "are pairs of <quantile>:<error>. Got 2:0.1"),
        ([*SERVE, "--metrics-config=counter_latencies=so"], "invalid value for bool option: so"),
        (
            [*SERVE, "--backend-config=,x=1"],
            'Bad option: "--backend-config".\nNo backend specified. --backend-config option format is <backend name>,'
            "<setting>=<value> or <setting>=<value>. Got ,x=1",
        ),
        *(
            (
                [*SERVE, f"--backend-config={text}"],
                "--backend-config option format is '<backend name>,<setting>=<value>'. Got " + text,
            )
            for text in ("python", "python,x", "python,x=", "python,=1")
        ),
        ([*SERVE, "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["engine"], "required"),
        (["token"], "no engine is known here"),
    ],
)
def test_mistakes_end_with_their_reason(
    arguments: list[str], text: str, runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYSERVE_RUNTIME_DIR", raising=False)
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("on", True), ("1", True), ("Off", False), ("0", False)])
def test_booleans(text: str, value: bool) -> None:
    assert parse_bool(text) is value


def test_the_token_of_a_running_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("s3cret")
    assert cli.main(["token", "--runtime-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "s3cret\n"


def test_elsewhere_it_says_what_is_missing(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit):
        cli.main(SERVE)
    assert "The engine needs Linux" in capsys.readouterr().err


def test_help_needs_no_server() -> None:
    script = (
        "import sys; from jupyter_pyserve import cli; cli.build_parser(); print('jupyter_pyserve.app' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == "False\n"
