"""What is loaded, for those who look: which version a request means, and the rows of the repository index.

Changes nothing but its own memory of answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_pyserve.engine.repository.disk import Repositories
from jupyter_pyserve.engine.repository.entries import ModelEntry, index_row
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity
from jupyter_pyserve.model.ensembles import Step
from jupyter_pyserve.model.lifecycle import VersionState

_MOST_DIGITS = len(str(2**63))


class Directory:
    """All models: by their names, and with namespaces by where they are, too."""

    def __init__(self, repositories: Repositories) -> None:
        self.repositories = repositories
        #: By their identities as text: without namespaces that is the name.
        self.entries: dict[str, ModelEntry] = {}
        #: Models that are loaded because the engine starts, until they are.
        self.starting: set[str] = set()
        #: Until it is known which these are.
        self.undecided = False
        #: Models that were to be loaded and have no version, until they have one or are unloaded.
        self.versionless: set[Identity] = set()
        #: (name, version text) -> servable; what the hot path looks into. Emptied at every change.
        self.routes: dict[tuple[str, str], LoadedVersion] = {}

    def lookup(self, name: str, version: str = "") -> LoadedVersion:
        """The version to ask (the highest ready one when none is given); raises Triton's NOT_FOUND and its kin."""
        found = self.routes.get((name, version))
        if found is not None and found.state is VersionState.READY:
            return found
        servable = _version_of(self._sought(name), name, version)
        if not version or version == str(servable.version):  # 01 and 001 are the same, and there is no end of them
            self.routes[name, version] = servable
        return servable

    def member(self, step: Step, namespace: str) -> LoadedVersion:
        """The version that carries out a step of an ensemble: in the namespace that it names, or else in the
        ensemble's own, or else wherever there is one of that name only.
        """
        near = self.entries.get(str(Identity(step.namespace or namespace, step.model)))
        if near is None or not near.servables():
            near = None if step.namespace else self._sought(step.model)
        return _version_of(near, step.model, step.version)

    def named(self, name: str) -> Iterator[ModelEntry]:
        """The models of this name; several only with namespaces."""
        if self.repositories.namespacing:
            yield from [entry for entry in self.entries.values() if entry.name == name]
        elif name in self.entries:
            yield self.entries[name]

    def find(self, name: str) -> ModelEntry | None:
        """The model that a name means; raises when it means several."""
        if not self.repositories.namespacing:
            return self.entries.get(name)
        wanted = [entry for entry in self.named(name) if entry.wanted]
        if len(wanted) > 1:
            raise PyServeError(
                Code.INVALID_ARG,
                f"There are {len(wanted)} identifiers of model '{name}' in global map, "
                "model namespace must be provided to resolve ambiguity.",
            )
        return wanted[0] if wanted else None

    def _sought(self, name: str) -> ModelEntry | None:
        entry = self.find(name)
        if entry is None or not entry.held():
            self._require_started(name)
        if entry is None and self.repositories.namespacing:
            raise PyServeError(Code.NOT_FOUND, f"Identifier of model '{name}' is not found in global map")
        return entry

    def _require_started(self, name: str) -> None:
        """Nobody is told that a model does not exist which is about to."""
        if self.undecided:
            why = "the server is starting"
        elif any(identity.rpartition("::")[2] == name for identity in self.starting) or name in self.starting:
            why = "it is being loaded"
        else:
            return
        raise PyServeError(Code.UNAVAILABLE, f"Request for unknown model: '{name}' is not at ready state: {why}")

    def all_servables(self) -> list[LoadedVersion]:
        """Every version that requests may reach, by name and number."""
        return [servable for _, entry in sorted(self.entries.items()) for _, servable in entry.servables()]

    def all_instances(self) -> list[Instance]:
        """Every instance that has a process, of versions that are loading too; not of those that are retiring."""
        return [
            instance
            for entry in self.entries.values()
            for owner in (*(servable for _, servable in entry.held()), *entry.loading)
            for instance in owner.instances
            if instance.pid
        ]

    def index(self) -> list[dict[str, str]]:
        """Rows of the repository index: every version that was ever loaded, and names of models that never were."""
        rows: list[dict[str, str]] = []
        places = self.repositories.places()
        for identity in sorted({*places, *(entry.identity for entry in self.entries.values())}):
            entry = self.entries.get(str(identity))
            if entry is not None and entry.guest and identity not in places:
                continue  # as in Triton: it is in no repository
            if len(places.get(identity, ())) > 1:
                reason = "model appears in two or more repositories"
                rows.append({"name": identity.name, "state": "UNAVAILABLE", "reason": reason})
            elif entry is None or not (entry.versions or entry.loading):
                rows.append({"name": identity.name})
            else:
                rows += _rows(entry)
        return rows


def _rows(entry: ModelEntry) -> Iterator[dict[str, str]]:
    loading = {item.version for item in entry.loading}
    for version in sorted({*entry.versions, *loading}):
        if version in entry.versions:
            yield index_row(entry.name, version, entry.versions[version])
        else:
            yield {"name": entry.name, "version": str(version), "state": VersionState.LOADING.value}


def _version_of(entry: ModelEntry | None, name: str, version: str) -> LoadedVersion:
    prefix = f"Request for unknown model: '{name}'"
    number = parse_version(version) if version else None
    if entry is None or not entry.versions:
        raise PyServeError(Code.NOT_FOUND, f"{prefix} is not found")
    ready = entry.servables()
    if number is None:
        if not ready:
            raise PyServeError(Code.NOT_FOUND, f"{prefix} has no available versions")
        return ready[-1][1]
    for present, servable in ready:
        if present == number:
            return servable
    if number in entry.versions:
        raise PyServeError(Code.UNAVAILABLE, f"{prefix} version {number} is not at ready state")
    raise PyServeError(Code.NOT_FOUND, f"{prefix} version {number} is not found")


def parse_version(text: str) -> int:
    """A version from its text, with Triton's error for one that is too large."""
    digits = text.lstrip("0") or "0"  # int() refuses to read thousands of them
    number = int(digits) if text.isascii() and text.isdecimal() and len(digits) <= _MOST_DIGITS else -1
    if not 0 <= number < 2**63:
        raise PyServeError(
            Code.INVALID_ARG,
            f"failed to get model version from specified version string '{text}' (details: stol), "
            "version should be an integral value > 0",
        )
    return number
