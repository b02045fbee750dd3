from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.options.repository import (
    BadRepositoryOptions,
    RepositorySettings,
    add_repository_options,
    repository_settings,
)
from jupyter_pyserve.settings import ControlMode, EngineSettings


def read(*words: str) -> RepositorySettings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_repository_options(parser)
    return repository_settings(parser.parse_args(["--model-repository=a", *words]))


def test_what_is_not_said_is_as_the_engine_has_it() -> None:
    assert EngineSettings(**read()._asdict()) == EngineSettings(model_repositories=("a",))


def test_everything_that_can_be_said() -> None:
    assert read(
        "--model-store=b",
        "--model-repository=a",
        "--model-control-mode=EXPLICIT",
        "--load-model=x",
        "--load-model=y",
        "--repository-poll-secs=1",
        "--model-config-name=small",
        "--model-load-thread-count=0",
        "--model-load-retry-count=2",
        "--model-namespacing=on",
        "--exit-on-error=false",
        "--strict-readiness=0",
    ) == RepositorySettings(
        model_repositories=("a", "b"),
        control_mode=ControlMode.EXPLICIT,
        load_models=("x", "y"),
        model_config_name="small",
        load_thread_count=1,
        load_retry_count=2,
        model_namespacing=True,
        poll_interval_s=1.0,
        exit_on_error=False,
        strict_readiness=False,
    )


@pytest.mark.parametrize("words", [["--load-model=*"], ["--load-model=*", "--load-model=*"]])
def test_all_models_may_be_asked_for(words: list[str]) -> None:
    assert set(read("--model-control-mode=explicit", *words).load_models) == {"*"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--load-model=a"], "requires setting '--model-control-mode=explicit' as well."),
        (["--load-model=a", "--model-control-mode=poll"], "requires setting '--model-control-mode=explicit' as well."),
        (["--model-control-mode=explicit", "--load-model=*", "--load-model=a"], "must be the ONLY startup model"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], text: str) -> None:
    with pytest.raises(BadRepositoryOptions, match=text):
        read(*words)


def test_there_must_be_a_repository() -> None:
    parser = argparse.ArgumentParser()
    add_repository_options(parser)
    with pytest.raises(
        BadRepositoryOptions, match="error: creating server: Invalid argument - --model-repository must"
    ):
        repository_settings(parser.parse_args([]))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--model-control-mode=never", "invalid argument for --model-control-mode"),
        ("--repository-poll-secs=soon", "Invalid option value. Got soon"),
        ("--model-load-retry-count=1.5", "Invalid option value. Got 1.5"),
        ("--model-namespacing=maybe", "invalid value for bool option: maybe"),
    ],
)
def test_values_that_are_none(word: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentError) as refused:
        read(word)
    assert refused.value.message == text
