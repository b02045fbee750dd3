from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.options.trace import add_trace_options, trace_settings
from jupyter_pyserve.settings import TraceMode, TraceSettings


def parse(*words: str, environment: dict[str, str] | None = None) -> TraceSettings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_trace_options(parser)
    return trace_settings(parser.parse_args(words), environment or {})


def configs(*values: str) -> list[str]:
    return [word for value in values for word in ("--trace-config", value)]


def test_nothing_is_said() -> None:
    assert parse() == TraceSettings()


def test_triton_s_mode() -> None:
    found = parse(
        *configs("triton,file=/tmp/a=b", "level=TIMESTAMPS", "level=tensors", "rate=1", "count=9"),
        *configs("triton,log-frequency=5", "mode=Triton", "triton,more=x", "opentelemetry,url=u"),
    )
    assert found == TraceSettings(
        levels=("TIMESTAMPS", "TENSORS"), rate=1, count=9, log_frequency=5, file="/tmp/a=b", options=(("more", "x"),)
    )


def test_off_wins() -> None:
    assert parse(*configs("level=TIMESTAMPS", "level=OFF")).levels == ()


def test_opentelemetry() -> None:
    given = configs("mode=opentelemetry", "opentelemetry,url=u", "opentelemetry,resource=a=b", "triton,file=f")
    found = parse(
        *given, *configs("opentelemetry,bsp_schedule_delay=7ms"), environment={"OTEL_BSP_MAX_QUEUE_SIZE": "9"}
    )
    assert found.mode is TraceMode.OPENTELEMETRY
    assert found.options == (
        ("url", "u"),
        ("resource", "a=b"),
        ("bsp_schedule_delay", "7"),
        ("bsp_max_export_batch_size", "512"),
        ("bsp_max_queue_size", "9"),
    )


def test_old_options_warn(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--trace-file", "f", "--trace-level", "MAX", "--trace-rate", "5", "--trace-count", "6"]
    found = parse(*words, "--trace-log-frequency", "7")
    assert found == TraceSettings(levels=("TIMESTAMPS",), rate=5, count=6, log_frequency=7, file="f")
    told = capsys.readouterr().err
    for name in ("file", "level", "rate", "count", "log-frequency"):
        assert told.count(f"Warning: '--trace-{name}' has been deprecated") == 1


def test_new_options_override_old_ones(capsys: pytest.CaptureFixture[str]) -> None:
    found = parse("--trace-rate", "5", "--trace-file", "old", *configs("rate=6", "triton,file=new"))
    assert (found.rate, found.file) == (6, "new")
    told = capsys.readouterr().err
    assert "Overriding deprecated '--trace-rate' in favor of provided rate value in --trace-config!" in told
    assert "Overriding deprecated '--trace-file' in favor of provided file in --trace-config!" in told


@pytest.mark.parametrize(("option", "value"), [("--trace-file", "old"), ("--trace-log-frequency", "7")])
def test_old_options_that_spans_do_not_mind(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    parse(option, value, *configs("mode=opentelemetry"))
    assert f"'{option}' is deprecated and will be ignored with opentelemetry tracing mode" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--trace-config", "foo"], "--trace-config option format is '<trace mode>,<setting>=<value>'. Got foo"),
        (["--trace-config", "rate="], "--trace-config option format is '<trace mode>,<setting>=<value>'. Got rate="),
        (["--trace-config", ",a=b"], "No trace mode specified. --trace-config option format is"),
        (["--trace-config", "bad,a=b"], "invalid value for trace mode option: bad. Available options are"),
        (["--trace-level", "foo"], "invalid value for trace level option: foo"),
        (["--trace-rate", "x"], "Invalid option value. Got x"),
        (["--trace-rate", "99999999999"], "Invalid option value. Got 99999999999"),
    ],
)
def test_values_that_are_refused(words: list[str], text: str) -> None:
    with pytest.raises(argparse.ArgumentError) as caught:
        parse(*words)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("values", "option", "reason"),
    [
        (["level=foo"], "--trace-config level", "invalid value for trace level option: foo"),
        (["rate=x"], "--trace-config rate", "Invalid option value. Got x"),
        (["mode=x"], "--trace-config mode", "invalid value for trace mode option: x."),
        (["triton,log-frequency=x"], "--trace-config triton,log-frequency", "Invalid option value. Got x"),
        (
            ["mode=opentelemetry", "opentelemetry,bsp_max_queue_size=x"],
            "--trace-config opentelemetry,bsp_max_queue_size",
            "Invalid option value. Got x",
        ),
    ],
)
def test_settings_that_are_refused(
    values: list[str], option: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*configs(*values))
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(f'Bad option: "{option}".\n{reason}')


def test_an_environment_that_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(*configs("mode=opentelemetry"), environment={"OTEL_BSP_SCHEDULE_DELAY": "bad_value"})
    assert capsys.readouterr().err.startswith('Bad option: "OTEL_BSP_SCHEDULE_DELAY".\n')
