"""What is done to models that are there, from Python: in and out of service, scaled, rolled back, drained, restarted.

Each is one request to the engine; what it comes to is answered as the model's view. Putting models there is `api`'s.
"""

from __future__ import annotations

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.api import control, status
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.display import ServedModel


def undeploy(name: str, *, delete: bool = False) -> None:
    """Take a model out of service; with `delete`, its directory in the model repository goes too."""
    control().undeploy(name, delete=delete)


def load(name: str) -> ServedModel:
    """Load a model that is in the model repository."""
    control().load(name)
    return _shown(name)


def unload(name: str) -> None:
    """Unload a model; it stays in the model repository."""
    control().unload(name)


def scale(name: str, instances: int) -> ServedModel:
    """Have so many processes run a model from now on. No request fails; those of a process that goes are finished."""
    if instances < 1:
        raise PyServeError(Code.INVALID_ARG, "a model has 1 instance or more; undeploy takes it out of service")
    control().scale(name, instances)
    return _shown(name)


def rollback(name: str, version: int | str | None = None) -> ServedModel:
    """Serve the deploy before the newest again, or that of `version`; it gets a new number, and no request fails."""
    try:
        number = None if version is None else int(version)
    except ValueError:
        raise PyServeError(Code.INVALID_ARG, f"'{version}' is not the number of a version") from None
    done = control().rollback(name, number)
    shown = _shown(name)
    shown.note = f"version {done['version']} is what version {done['from']} was"
    return shown


def drain(name: str, instance: str | None = None) -> ServedModel:
    """Refuse new requests to a model and finish those that it has; or give one instance no more work."""
    control().act(name, "drain", instance=instance)
    return _shown(name)


def resume(name: str, instance: str | None = None) -> ServedModel:
    """Take new requests again, after `drain`."""
    control().act(name, "resume", instance=instance)
    return _shown(name)


def restart(name: str, instance: str | None = None, *, force: bool = False) -> ServedModel:
    """Stop a model's processes, or one, and start new ones; `force` does not wait for what they are executing."""
    if instance is None:
        control().restart(name, force=force)
    else:
        control().act(name, "restart", instance=instance, force=force)
    return _shown(name)


def kill(name: str, instance: str | None = None) -> ServedModel:
    """End the process of an instance at once; another takes its place, and the requests that it had fail."""
    asked = control()
    chosen = instance or _only(asked, name)
    asked.act(name, "kill", instance=chosen)
    shown = _shown(name)
    shown.note = f"{chosen} was killed and starts again"
    return shown


def _only(asked: Control, name: str) -> str:
    names = [row["name"] for row in asked.model_status(name)["instances"]]
    if len(names) != 1:
        there = ", ".join(names) or "none"
        raise PyServeError(Code.INVALID_ARG, f"say which instance of model '{name}' (there are: {there})")
    return names[0]


def _shown(name: str) -> ServedModel:
    found = status(name)
    assert isinstance(found, ServedModel)
    return found
