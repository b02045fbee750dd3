"""What is known of a model that was loaded at some time: its versions, what serves, what is being loaded.

Values that the registry changes; nothing here acts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from jupyter_pyserve.engine.repository.deploy_history import Deployed
from jupyter_pyserve.engine.repository.disk import Signature
from jupyter_pyserve.engine.repository.overrides import Override
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.model.config import Identity
from jupyter_pyserve.model.lifecycle import VERSION, VersionEvent, VersionState, advance

#: The reason of a version that is not served because somebody has said so.
UNLOADED = "unloaded"


@dataclass(slots=True)
class VersionRecord:
    """What the index says of a version."""

    state: VersionState
    reason: str = ""
    servable: LoadedVersion | None = None

    def advance(self, event: VersionEvent, reason: str = "") -> None:
        """Take a step of the version's life."""
        self.state = advance(VERSION, self.state, event)
        self.reason = reason


@dataclass(slots=True)
class ModelEntry:
    """A model that was loaded at some time; `serving` is what requests see."""

    name: str
    #: The repository that it is in, where that tells models apart.
    namespace: str = ""
    #: Whether it is to be served: somebody has loaded it, and nobody has unloaded it since.
    wanted: bool = False
    versions: dict[int, VersionRecord] = field(default_factory=dict)
    signature: Signature = ()
    #: What is served in place of what the repository has; and whether the repository has nothing of it at all.
    override: Override | None = None
    guest: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: str | None = None
    #: Whether what is served came from a deploy, so that its directory is this server's to write.
    deployed: bool = False
    #: What `roll_back` can go back to, newest last.
    deploys: list[Deployed] = field(default_factory=list)
    #: Why the last load or deploy failed; empty when it did not.
    loading_error: str = ""
    #: The versions whose load is in progress, and whether somebody has asked for something newer meanwhile.
    loading: list[LoadedVersion] = field(default_factory=list)
    outdated: bool = False

    @property
    def identity(self) -> Identity:
        """Which model this is."""
        return Identity(self.namespace, self.name)

    def held(self) -> list[tuple[int, LoadedVersion]]:
        """The versions that have processes, ascending; one that was given up still holds what is left of them."""
        return [
            (version, record.servable)
            for version, record in sorted(self.versions.items())
            if record.servable is not None
        ]

    def drop_failed(self) -> None:
        """Forget versions that could not be loaded."""
        for version, record in list(self.versions.items()):
            if record.state is VersionState.UNAVAILABLE and record.reason != UNLOADED:
                del self.versions[version]

    def serves_all(self) -> bool:
        """Whether every version that was loaded serves; one that was given up does not."""
        held = self.held()
        return bool(held) and len(held) == len(self.servables())

    def servables(self) -> list[tuple[int, LoadedVersion]]:
        """The versions that requests may reach, ascending."""
        return [(version, servable) for version, servable in self.held() if servable.state is VersionState.READY]


def index_row(name: str, version: int, record: VersionRecord) -> dict[str, str]:
    """The version in the repository index."""
    state, reason = record.state, record.reason
    if record.servable is not None and record.servable.state is not VersionState.READY:
        state, reason = record.servable.state, record.servable.reason
    row = {"name": name, "version": str(version), "state": state.value}
    if reason:
        row["reason"] = reason
    return row
