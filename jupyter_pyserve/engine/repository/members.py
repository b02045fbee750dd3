"""What ties ensembles to their members while both come and go: who needs whom, and who went because a member did.

Book-keeping for the registry, which acts on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from jupyter_pyserve.engine.ensembles.ensemble import EnsembleVersion
from jupyter_pyserve.engine.repository.entries import ModelEntry
from jupyter_pyserve.engine.repository.load_errors import LoadError
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import EnsembleStep, Identity, ModelConfig


class CircularEnsembles(LoadError):
    """Ensembles that are made of each other."""


def member_names(config: ModelConfig) -> list[str]:
    """The models of an ensemble's steps, each once; none for other models."""
    ensemble = config.ensemble_scheduling
    return sorted({step.model_name for step in ensemble.steps}) if ensemble is not None else []


def members_in(config: ModelConfig, namespace: str, present: Collection[Identity]) -> set[Identity]:
    """The models that carry out an ensemble's steps; raises `LoadError` with those of which there is none, or not one.

    A step's model is in the namespace that it names, or else in the ensemble's, or else wherever there is only one.
    """
    ensemble = config.ensemble_scheduling
    found = [(step.model_name, _place(step, namespace, present)) for step in ensemble.steps] if ensemble else []
    doubtful = ", ".join(sorted({name for name, place in found if place is None}))
    if doubtful:
        raise LoadError({}, f"ensemble {config.name} contains models that are not available or ambiguous: {doubtful}\n")
    return {place for _, place in found if place is not None}


def _place(step: EnsembleStep, namespace: str, present: Collection[Identity]) -> Identity | None:
    near = Identity(step.model_namespace or namespace, step.model_name)
    if near in present:
        return near
    named = [identity for identity in present if identity.name == step.model_name]
    return named[0] if len(named) == 1 and not step.model_namespace else None


def without_member(ensemble: Identity, member: Identity, error: LoadError) -> LoadError:
    """Why an ensemble cannot be loaded when one of its members cannot."""
    if isinstance(error, CircularEnsembles):
        return error
    reason = error.message(str(member)).removeprefix(f"load failed for model '{member}': ").removesuffix("\n")
    return LoadError(
        {},
        f"ensemble '{ensemble}' depends on '{member}' which has no loaded version. "
        f"Model '{member}' loading failed with error: {reason}\n",
    )


class Dependents:
    """Ensembles by their members."""

    def __init__(self, entries: Mapping[str, ModelEntry]) -> None:
        self._entries = entries
        #: Ensembles that were taken down with a member, and what they are made of.
        self._bereft: dict[Identity, list[str]] = {}
        #: Ensembles that are loading, and the member that each waits for.
        self._awaited: dict[Identity, Identity] = {}

    @contextlib.contextmanager
    def waiting(self, ensemble: Identity, member: Identity) -> Iterator[None]:
        """While an ensemble waits for a member to be loaded; raises when that, in turn, waits for the ensemble."""
        awaited = member
        while awaited in self._awaited and awaited != ensemble:
            awaited = self._awaited[awaited]
        if awaited == ensemble:
            text = f"circular dependency between ensembles: {member} -> ... -> {ensemble} -> {member}\n"
            raise CircularEnsembles({}, text)
        self._awaited[ensemble] = member
        try:
            yield
        finally:
            del self._awaited[ensemble]

    def members(self, entry: ModelEntry) -> set[Identity]:
        """What a loaded ensemble is made of; nothing for other models."""
        return {member.identity for _, version in entry.held() for member in version.members}

    def of(self, identity: Identity) -> Iterator[tuple[ModelEntry, list[EnsembleVersion]]]:
        """The loaded ensembles that a model is a member of."""
        for entry, versions in self._ensembles():
            if any(member.identity == identity for version in versions for member in version.members):
                yield entry, versions

    def _ensembles(self) -> Iterator[tuple[ModelEntry, list[EnsembleVersion]]]:
        for entry in list(self._entries.values()):
            versions = [item for _, item in entry.servables() if isinstance(item, EnsembleVersion)]
            if versions:
                yield entry, versions

    def taken_down(self, entry: ModelEntry, versions: list[EnsembleVersion]) -> None:
        """An ensemble goes because a member does."""
        self._bereft[entry.identity] = [item for version in versions for item in member_names(version.config)]

    def settled(self, identity: Identity) -> None:
        """Somebody has said what is to become of this ensemble itself."""
        self._bereft.pop(identity, None)

    def to_revive(self, name: str) -> list[Identity]:
        """Ensembles that may come back now that a member of this name has."""
        return [ensemble for ensemble, members in self._bereft.items() if name in members]

    def no_longer_fit(self, name: str) -> Iterator[tuple[ModelEntry, list[EnsembleVersion], LoadFailure]]:
        """The ensembles that cannot use a member of this name as it is now; all others use it from now on."""
        for entry, versions in self._ensembles():
            if any(name in member_names(version.config) for version in versions):
                failure = misfit(versions)
                if failure is not None:
                    yield entry, versions, failure


def misfit(versions: Iterable[EnsembleVersion]) -> LoadFailure | None:
    """Why these cannot use their members as they are now; when they can, they do so from now on."""
    try:
        for version in versions:
            version.check_members()
    except LoadFailure as failure:
        return failure
    return None
