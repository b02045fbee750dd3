"""A load that failed, in the words that a client gets, and in those that the one who deployed gets."""

from __future__ import annotations

from typing import Any

from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.errors import Code, PyServeError


class LoadError(Exception):
    """Some versions of a model could not be loaded, or (`text`) none was there to load."""

    def __init__(self, failures: dict[int, LoadFailure], text: str = "") -> None:
        super().__init__(text)
        self.failures = failures
        self.text = text

    def message(self, name: str) -> str:
        """Triton's text for the one who asked for the load."""
        parts = [
            f"version {version} is at UNAVAILABLE state: {failure.kind}: {failure.text};\n"
            for version, failure in sorted(self.failures.items())
        ]
        return f"load failed for model '{name}': {self.text}{''.join(parts)}"

    def as_domain_error(self, name: str) -> PyServeError:
        """What a client is told."""
        return PyServeError(Code.INVALID_ARG, self.message(name))

    def failure_of(self, name: str) -> DeployFailure:
        """What the one who deployed is told: the text, and where in the code it happened."""
        first = next(iter(self.failures.values()), None)
        return DeployFailure(
            self.message(name),
            exception=first.exception if first is not None else None,
            frames=first.frames if first is not None else [],
        )


class DeployFailure(PyServeError):
    """A deploy that failed, with the place in the deployed code."""

    def __init__(self, message: str, *, exception: str | None, frames: list[dict[str, Any]]) -> None:
        super().__init__(Code.INVALID_ARG, message)
        self.exception = exception
        self.frames = frames
