"""The trace settings that clients have made: for all models, and for single ones.

Nothing is traced yet, so they are kept and answered with, and those that would trace are refused.
"""

from __future__ import annotations

from jupyter_pyserve.v2.tracesettings import TraceChanges, TraceSettings, check_trace


class TraceBook:
    """What was said for all models and for single ones, over what the server was started with."""

    def __init__(self, startup: TraceSettings | None = None) -> None:
        self._startup = startup or TraceSettings()
        self._general = TraceChanges()
        self._of_models: dict[str, TraceChanges] = {}

    def of(self, model: str = "") -> TraceSettings:
        """What holds for a model, or without a name in general."""
        return self._of_models.get(model, TraceChanges()).over(self._general.over(self._startup))

    def said(self, model: str = "") -> TraceChanges:
        """What was said for a model, or for all."""
        return self._of_models.get(model, TraceChanges()) if model else self._general

    def change(self, changes: TraceChanges, model: str = "") -> TraceSettings:
        """Take changes over, and say what holds now; refused ones change nothing."""
        base = self._general.over(self._startup) if model else self._startup
        settings = changes.over(base)
        check_trace(settings)
        if model:
            self._of_models[model] = changes
        else:
            self._general = changes
        return settings
