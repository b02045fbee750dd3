"""What ties ensembles to their members while both come and go: who needs whom, and who went because a member did.

Book-keeping for the registry, which acts on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from jupyter_pyserve.engine.ensemble import EnsembleVersion
from jupyter_pyserve.engine.entries import ModelEntry
from jupyter_pyserve.engine.launcher import LoadFailure
from jupyter_pyserve.engine.load_errors import LoadError
from jupyter_pyserve.model.config import ModelConfig


class CircularEnsembles(LoadError):
    """Ensembles that are made of each other."""


def member_names(config: ModelConfig) -> list[str]:
    """The models of an ensemble's steps, each once; none for other models."""
    ensemble = config.ensemble_scheduling
    return sorted({step.model_name for step in ensemble.steps}) if ensemble is not None else []


def check_present(name: str, members: Iterable[str], places: Mapping[str, list[str]]) -> None:
    """Raises `LoadError` with the members that no repository has, or that several have."""
    doubtful = [item for item in members if len(places.get(item, ())) != 1]
    if doubtful:
        raise LoadError(
            {}, f"ensemble {name} contains models that are not available or ambiguous: {', '.join(doubtful)}\n"
        )


def without_member(name: str, member: str, error: LoadError) -> LoadError:
    """Why an ensemble cannot be loaded when one of its members cannot."""
    if isinstance(error, CircularEnsembles):
        return error
    reason = error.message(member).removeprefix(f"load failed for model '{member}': ").removesuffix("\n")
    return LoadError(
        {},
        f"ensemble '{name}' depends on '{member}' which has no loaded version. "
        f"Model '{member}' loading failed with error: {reason}\n",
    )


class Dependents:
    """Ensembles by their members."""

    def __init__(self, entries: Mapping[str, ModelEntry]) -> None:
        self._entries = entries
        #: Ensembles that were taken down with a member, and what they are made of.
        self._bereft: dict[str, list[str]] = {}
        #: Ensembles that are loading, and the member that each waits for.
        self._awaited: dict[str, str] = {}

    @contextlib.contextmanager
    def waiting(self, name: str, member: str) -> Iterator[None]:
        """While an ensemble waits for a member to be loaded; raises when that, in turn, waits for the ensemble."""
        awaited = member
        while awaited in self._awaited and awaited != name:
            awaited = self._awaited[awaited]
        if awaited == name:
            text = f"circular dependency between ensembles: {member} -> ... -> {name} -> {member}\n"
            raise CircularEnsembles({}, text)
        self._awaited[name] = member
        try:
            yield
        finally:
            del self._awaited[name]

    def members(self, entry: ModelEntry) -> set[str]:
        """What a loaded ensemble is made of; nothing for other models."""
        versions = [version for _, version in entry.held() if isinstance(version, EnsembleVersion)]
        return {member for version in versions for member in member_names(version.config)}

    def of(self, name: str) -> Iterator[tuple[ModelEntry, list[EnsembleVersion]]]:
        """The loaded ensembles that a model is a member of."""
        for entry in list(self._entries.values()):
            versions = [item for _, item in entry.servables() if isinstance(item, EnsembleVersion)]
            if any(name in member_names(version.config) for version in versions):
                yield entry, versions

    def taken_down(self, entry: ModelEntry, versions: list[EnsembleVersion]) -> None:
        """An ensemble goes because a member does."""
        self._bereft[entry.name] = [item for version in versions for item in member_names(version.config)]

    def settled(self, name: str) -> None:
        """Somebody has said what is to become of this ensemble itself."""
        self._bereft.pop(name, None)

    def to_revive(self, name: str) -> list[str]:
        """Ensembles that may come back now that this member has."""
        return [ensemble for ensemble, members in self._bereft.items() if name in members]

    def no_longer_fit(self, name: str) -> Iterator[tuple[ModelEntry, list[EnsembleVersion], LoadFailure]]:
        """The ensembles that cannot use a member as it is now."""
        for entry, versions in self.of(name):
            failure = _misfit(versions)
            if failure is not None:
                yield entry, versions, failure


def _misfit(versions: Iterable[EnsembleVersion]) -> LoadFailure | None:
    try:
        for version in versions:
            version.check_members()
    except LoadFailure as failure:
        return failure
    return None
