from __future__ import annotations

import dataclasses

import pytest

from jupyter_pyserve.settings import EngineSettings, ListenSettings, MetricsSettings


@pytest.mark.parametrize("settings", [EngineSettings(), ListenSettings()])
def test_settings_are_made_once(settings: EngineSettings | ListenSettings) -> None:
    (first, *_) = dataclasses.fields(settings)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, first.name, "other")


def test_nothing_listens_beyond_this_machine_unless_told() -> None:
    assert ListenSettings().http_address == "127.0.0.1"


def test_metrics_are_tritons() -> None:
    settings = MetricsSettings()
    assert settings.summary_quantiles == (0.5, 0.9, 0.95, 0.99, 0.999)
    assert settings.pinned_pool_nbytes == 268_435_456


def test_limits_are_tritons() -> None:
    assert EngineSettings().http_max_input_nbytes == 67_108_864
    assert EngineSettings().exit_timeout_s == 30
