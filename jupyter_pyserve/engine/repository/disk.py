"""Model repositories on disk: which models and versions they hold, their configurations, and how a deploy writes one.

Everything here blocks and is short; the registry calls it in a thread. Knows nothing of processes or of what is loaded.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from jupyter_pyserve.engine.repository import deploy_history
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import (
    Identity,
    ModelConfig,
    check_model_name,
    join_problems,
    parse_json_config,
    parse_pbtxt,
    require_name,
    validate_stage_a,
    with_instance_count,
)

_log = logging.getLogger(__name__)

_IGNORED = frozenset({"__pycache__", ".ipynb_checkpoints", ".pyserve-staging"})
#: Directories of a model that hold other things.
_NO_VERSIONS = frozenset({"configs", "warmup", "initial_state", "shared"})
_CONFIG = "config.pbtxt"

#: What editors, browsers and copying programs leave beside a file while they write it.
_TEMPORARY = re.compile(
    r""" \..*\.sw[a-z] | 4913 | .*~ | \.\#.* | \#.*\# | \.~.* | \.goutputstream-.* | \.nfs[0-9a-f]+ | \.DS_Store
    | .*\.(?: tmp | temp | part | partial | crdownload | filepart | pyc ) | .*\.pbtxt\.[0-9a-f]{8} """,
    re.VERBOSE,
)

#: So many directories within each other are looked at for changes.
_DEEPEST = 50

#: A version directory with this file in it was being deployed when the engine ended; it does not count.
_PENDING = ".pyserve-pending"
_STAGING = ".pyserve-staging"

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model as it lies on disk: enough to load it."""

    name: str
    model_dir: str
    config: ModelConfig
    versions: tuple[int, ...]
    signature: Signature


@dataclass(frozen=True, slots=True)
class Repositories:
    """Where models are looked for. With `namespacing` each has its own; else a name must be in one of them only."""

    paths: tuple[str, ...]
    namespacing: bool = False
    #: The name of the configuration that goes before `config.pbtxt`.
    config_name: str = ""
    #: Whether a model may do without a configuration: its own code completes it then.
    auto_complete: bool = True
    #: How many GPUs there are for models.
    gpu_count: int = 0

    def identity(self, number: int, name: str) -> Identity:
        """A model of that repository."""
        return Identity(self.paths[number] if self.namespacing else "", name)

    def places(self) -> dict[Identity, list[str]]:
        """The directories of models; without namespaces several of one name are a mistake."""
        found: dict[Identity, list[str]] = {}
        for number, repository in enumerate(self.paths):
            with contextlib.suppress(FileNotFoundError), os.scandir(repository) as entries:
                for entry in entries:
                    if _is_dir(entry) and _is_name(entry.name):
                        found.setdefault(self.identity(number, entry.name), []).append(os.path.abspath(entry.path))
        return dict(sorted(found.items()))

    def signatures(self) -> tuple[dict[Identity, Signature], set[Identity]]:
        """Every model with what tells whether it has changed; and those that are in several places by mistake."""
        places = self.places()
        found = {identity: sign(paths[0]) for identity, paths in places.items() if len(paths) == 1}
        return found, {identity for identity in places if identity not in found}

    def read(self, identity: Identity, *, config: str | None = None) -> ModelSource:
        """Read a model from disk, with JSON `config` in place of its own if that is given.

        Raises `PyServeError` with the reason why it cannot be loaded.
        """
        name = identity.name
        places = self.places().get(identity, [])
        if not places:
            text = f"failed to poll model '{name}': model not found in any model repository."
            raise PyServeError(Code.INTERNAL, text)
        if len(places) > 1:
            text = f"failed to poll model '{name}': not unique across all model repositories"
            raise PyServeError(Code.INTERNAL, text)
        _tell_of_ignored(places[0])
        if config is None and not self.auto_complete:
            _require_config(places[0], self.config_name)
        return read_directory(name, places[0], config_name=self.config_name, config=config, gpu_count=self.gpu_count)


def list_versions(model_dir: str) -> list[int]:
    """Version numbers, ascending; directories with other names are ignored."""
    with os.scandir(model_dir) as entries:
        return sorted(
            int(entry.name)
            for entry in entries
            if _is_dir(entry)
            and entry.name.isascii()
            and entry.name.isdecimal()
            and str(int(entry.name)) == entry.name
            and not os.path.exists(os.path.join(entry.path, _PENDING))
        )


def read_directory(
    name: str, model_dir: str, *, config_name: str = "", config: str | None = None, gpu_count: int = 0
) -> ModelSource:
    """The same of a model whose directory is known, and absolute."""
    present = list_versions(model_dir)
    first = _first_version(model_dir, present)
    if config is None:
        text, path = _read_config(model_dir, config_name)
        parsed = _parse(text, name, path, deduce_from=first, gpu_count=gpu_count)
    else:
        found = parse_json_config(config, model_name=name, default_backend=_deduced(first), gpus=gpu_count)
        parsed = _checked(found, name)
    return ModelSource(
        name=name,
        model_dir=model_dir,
        config=parsed,
        versions=_selected(parsed, present),
        signature=sign(model_dir),
    )


def _tell_of_ignored(model_dir: str) -> None:
    with os.scandir(model_dir) as entries:
        names = sorted(entry.name for entry in entries if _is_dir(entry) and not entry.name.startswith("."))
    for name in names:
        if name in _IGNORED or name in _NO_VERSIONS:
            continue
        if not (name.isascii() and name.isdecimal()):
            _log.warning("ignore version directory '%s' which fails to convert to integral number", name)
        elif str(int(name)) != name:
            _log.warning("ignore version directory '%s' which contains leading zeros in its directory name", name)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    """Links that lead back to themselves, for one, are none."""
    with contextlib.suppress(OSError):
        return entry.is_dir()
    return False


def _is_name(name: str) -> bool:
    """Whether a model could be called that; bytes that are no text cannot be said in any protocol."""
    return not name.startswith(".") and name not in _IGNORED and not any("\ud800" <= c <= "\udfff" for c in name)


def _require_config(model_dir: str, config_name: str) -> None:
    _, path = _read_config(model_dir, config_name)
    if not os.path.isfile(path):
        text = f"failed to open text file for read {path}: No such file or directory"
        raise PyServeError(Code.INTERNAL, text)


def _selected(config: ModelConfig, present: list[int]) -> tuple[int, ...]:
    """The versions to serve of those present; those that are asked for in vain are named in the log."""
    for version in config.version_policy.specific or ():
        if version not in present:
            text = "version %d is specified for model '%s', but the version directory is not present"
            _log.error(text, version, config.name)
    return config.version_policy.select(tuple(present))


def _first_version(model_dir: str, present: list[int]) -> str:
    return os.path.join(model_dir, str(present[0])) if present else model_dir


def _deduced(version_dir: str) -> str:
    """The backend of a model that names none."""
    return "python" if os.path.isfile(os.path.join(version_dir, "model.py")) else ""


def _parse(text: str, name: str, path: str, *, deduce_from: str, gpu_count: int = 0) -> ModelConfig:
    """A checked configuration; the backend is deduced from the version directory when the text names none."""
    backend = _deduced(deduce_from)
    return _checked(parse_pbtxt(text, model_name=name, path=path, default_backend=backend, gpus=gpu_count), name)


def _checked(config: ModelConfig, name: str) -> ModelConfig:
    problems = validate_stage_a(config)
    if problems:
        raise PyServeError(Code.INVALID_ARG, join_problems(problems))
    require_name(config, name)
    return config


def _read_config(model_dir: str, config_name: str) -> tuple[str, str]:
    paths = [os.path.join(model_dir, _CONFIG)]
    if config_name:
        paths.insert(0, os.path.join(model_dir, "configs", f"{config_name}.pbtxt"))
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            return _read_file(path), path
    return "", paths[-1]


def _read_file(path: str) -> str:
    """The text of a file: nothing is waited for at a pipe, and no end is looked for in a device."""
    try:
        with open(
            path, encoding="utf-8", errors="replace", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
        ) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read()
            reason = "it is not a regular file"
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = str(error.strerror)
    raise PyServeError(Code.INVALID_ARG, f"failed to open text file for read {path}: {reason}")


def sign(model_dir: str) -> Signature:
    """Where it is, its versions; names, times and sizes of its files, and equal means unchanged.

    Bytecode, checkpoints and what editors write beside a file are left out.
    """
    rows = [(model_dir, 0, 0)]
    for folder, folders, files in os.walk(model_dir):
        # What is deeper belongs to no model that anybody means, and would end in a RecursionError.
        is_deep = folder.count(os.sep) - model_dir.count(os.sep) >= _DEEPEST
        folders[:] = [] if is_deep else sorted(item for item in folders if item not in _IGNORED)
        if folder == model_dir:  # a version of an ensemble is an empty directory
            rows += [(item, 0, 0) for item in folders if item.isdecimal()]
        for file in sorted(files):
            if _TEMPORARY.fullmatch(file):
                continue
            path = os.path.join(folder, file)
            with contextlib.suppress(OSError):  # it is gone, or a link that leads nowhere
                facts = os.stat(path)
                rows.append((os.path.relpath(path, model_dir), facts.st_mtime_ns, facts.st_size))
    return tuple(rows)


def same_version(before: Signature, after: Signature, version: int) -> bool:
    """Whether a version is as it was, whatever became of the configuration and of other versions."""
    return _of_version(before, version) == _of_version(after, version)


def _of_version(signature: Signature, version: int) -> list[tuple[str, int, int]]:
    return [row for row in signature if _concerns(row[0].split(os.sep)[0], version)]


def _concerns(top: str, version: int) -> bool:
    """Whether a version depends on this file or directory of its model; the configuration is compared by itself."""
    return top == str(version) or not (top.isdecimal() or top in (_CONFIG, "configs"))


class Deployment:
    """A new version on its way into a repository: staged, then committed or taken back; a crash takes it back too."""

    def __init__(self, repository: str, name: str, source: str, config: str | None, owner: str | None = None) -> None:
        check_model_name(name)
        self.name = name
        self.model_dir = os.path.join(os.path.abspath(repository), name)
        self._source = source
        self._config = config
        self.owner = owner
        self._new_model = False
        self.version = 0
        self._selected: tuple[int, ...] = ()

    def unchanged_version(self) -> int | None:
        """The newest version, when it already says exactly this."""
        if not os.path.isdir(self.model_dir):
            return None
        versions = list_versions(self.model_dir)
        if not versions:
            return None
        text, _ = _read_config(self.model_dir, "")
        path = os.path.join(self.model_dir, str(versions[-1]), "model.py")
        with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
            if Path(path).read_text(encoding="utf-8") == self._source and (self._config or "") == text:
                return versions[-1]
        return None

    def stage(self) -> ModelSource:
        """Write the new version; only this deployment sees it until `commit`."""
        self._new_model = not os.path.isdir(self.model_dir)
        self.version = 1 if self._new_model else max(list_versions(self.model_dir), default=0) + 1
        folder = os.path.join(self.model_dir, str(self.version))
        shutil.rmtree(folder, ignore_errors=True)  # what an engine that died left pending
        # Under a name that is no version until the mark is in it: there is no moment at which half of it counts.
        hidden = os.path.join(self.model_dir, _STAGING)
        shutil.rmtree(hidden, ignore_errors=True)
        os.makedirs(hidden)
        Path(hidden, _PENDING).touch()
        Path(hidden, "model.py").write_text(self._source, encoding="utf-8")
        deploy_history.remember(Path(hidden), self._config, self.owner)
        os.rename(hidden, folder)
        path = os.path.join(self.model_dir, _CONFIG)
        config = _parse(self._config or "", self.name, path, deduce_from=folder)
        selected = self._selected = config.version_policy.select((*list_versions(self.model_dir), self.version))
        if self.version not in selected:
            raise PyServeError(
                Code.INVALID_ARG,
                f"the version policy of model '{self.name}' does not select version {self.version}, "
                "which this deploy would make",
            )
        return ModelSource(name=self.name, model_dir=self.model_dir, config=config, versions=selected, signature=())

    def commit(self) -> Signature:
        """Make the new version the repository's; the configuration changes in one step."""
        path = os.path.join(self.model_dir, _CONFIG)
        if self._config is not None:
            _replace(path, self._config)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        os.unlink(os.path.join(self.model_dir, str(self.version), _PENDING))
        deploy_history.prune(self.model_dir, self._selected, os.path.join(self.model_dir, _STAGING))
        return sign(self.model_dir)

    def roll_back(self) -> None:
        """Leave the repository as it was."""
        if self.version:
            shutil.rmtree(os.path.join(self.model_dir, str(self.version)), ignore_errors=True)
            shutil.rmtree(os.path.join(self.model_dir, _STAGING), ignore_errors=True)
        if self._new_model:
            with contextlib.suppress(OSError):
                os.rmdir(self.model_dir)


def write_count(repository: str, name: str, count: int) -> Signature:
    """Have a model's configuration say how many instances its first group has."""
    model_dir = os.path.join(os.path.abspath(repository), name)
    text, path = _read_config(model_dir, "")
    _replace(path, with_instance_count(text, count, path=path))
    return sign(model_dir)


def _replace(path: str, text: str) -> None:
    """Change a file in one step."""
    temporary = f"{path}.{secrets.token_hex(4)}"
    try:
        Path(temporary).write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def delete_model(repository: str, name: str) -> None:
    """Remove a model's directory from a repository."""
    check_model_name(name)
    shutil.rmtree(os.path.join(os.path.abspath(repository), name), ignore_errors=True)
