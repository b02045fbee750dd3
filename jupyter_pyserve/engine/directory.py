"""What is loaded, for those who look: which version a request means, and the rows of the repository index.

Changes nothing but its own memory of answers.
"""

from __future__ import annotations

from jupyter_pyserve.engine.entries import ModelEntry, index_row
from jupyter_pyserve.engine.instance import Instance
from jupyter_pyserve.engine.loaded import LoadedVersion
from jupyter_pyserve.engine.repository import list_models
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.lifecycle import VersionState

_MOST_DIGITS = len(str(2**63))


class Directory:
    """All models by their names."""

    def __init__(self, repositories: tuple[str, ...]) -> None:
        self._repositories = repositories
        self.entries: dict[str, ModelEntry] = {}
        #: Models that are loaded because the engine starts, until they are.
        self.starting: set[str] = set()
        #: (name, version text) -> servable; what the hot path looks into. Emptied at every change.
        self.routes: dict[tuple[str, str], LoadedVersion] = {}

    def lookup(self, name: str, version: str = "") -> LoadedVersion:
        """The version to ask (the highest ready one when none is given); raises Triton's NOT_FOUND and its kin."""
        found = self.routes.get((name, version))
        if found is not None and found.state is VersionState.READY:
            return found
        servable = self._resolve(name, version)
        if not version or version == str(servable.version):  # 01 and 001 are the same, and there is no end of them
            self.routes[name, version] = servable
        return servable

    def _resolve(self, name: str, version: str) -> LoadedVersion:
        prefix = f"Request for unknown model: '{name}'"
        entry = self.entries.get(name)
        number = parse_version(version) if version else None
        if name in self.starting and (entry is None or not entry.held()):
            raise PyServeError(Code.UNAVAILABLE, f"{prefix} is not at ready state: it is being loaded")
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
        for name in sorted({*self.entries, *(places := list_models(self._repositories))}):
            entry = self.entries.get(name)
            if entry is not None and entry.guest and name not in places:
                continue  # as in Triton: it is in no repository
            if len(places.get(name, [])) > 1:
                rows.append(
                    {"name": name, "state": "UNAVAILABLE", "reason": "model appears in two or more repositories"}
                )
            elif entry is None or not (entry.versions or entry.loading):
                rows.append({"name": name})
            else:
                rows += [
                    {"name": name, "version": str(item.version), "state": VersionState.LOADING.value}
                    for item in entry.loading
                    if item.version not in entry.versions
                ]
                rows += [index_row(name, version, record) for version, record in sorted(entry.versions.items())]
        return rows


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
