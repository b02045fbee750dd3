"""A deploy as the one who asked for it watches it: progress events, then exactly one "ready" or "error" event.

Carries nothing out itself: the registry does, to the end, whether anybody watches or not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from jupyter_pyserve.engine.logs import LogBook
from jupyter_pyserve.engine.repository.disk import Deployment
from jupyter_pyserve.engine.repository.entries import ModelEntry
from jupyter_pyserve.engine.repository.load_errors import DeployFailure
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.errors import Code, PyServeError

_log = logging.getLogger(__name__)

_LAST_WORDS = 20

Event = dict[str, Any]


async def watch(
    registry: Registry,
    deployment: Deployment,
    owner: str | None,
    *,
    describe: Callable[[ModelEntry], Event],
    logs: LogBook,
) -> AsyncIterator[Event]:
    """Start a deploy and yield its events."""
    events: asyncio.Queue[Event] = asyncio.Queue()

    def progress(stage: str, instance: str) -> None:
        events.put_nowait({"event": "progress", "stage": stage, "instance": instance})

    async def work() -> None:
        started_s = time.monotonic()
        try:
            entry, unchanged = await registry.deploy(deployment, progress, owner)
        except DeployFailure as failure:
            events.put_nowait(_failure_event(failure, deployment, logs))
        except PyServeError as error:
            events.put_nowait(_error_event(error.code, error.message))
        except Exception as error:  # noqa: BLE001 - the top of a task: whoever watches must get an end
            _log.exception("deploy of '%s' failed", deployment.name)
            events.put_nowait(_error_event(Code.INTERNAL, f"the deploy failed: {type(error).__name__}: {error}"))
        else:
            elapsed_ms = round((time.monotonic() - started_s) * 1000, 3)
            event = {"event": "ready", "unchanged": unchanged, "model": describe(entry), "elapsed_ms": elapsed_ms}
            events.put_nowait(event)

    progress("queue", "")  # so that whoever watches knows at once that the deploy is taken
    # Not cancelled when the watcher goes away: a deploy ends in one of its two states.
    task = asyncio.get_running_loop().create_task(work())
    while True:
        event = await events.get()
        yield event
        if event["event"] != "progress":
            await task
            return


def _failure_event(failure: DeployFailure, deployment: Deployment, logs: LogBook) -> Event:
    return {
        **_error_event(failure.code, failure.message),
        "exception": failure.exception,
        "frames": failure.frames,
        "logs": [record.text for record in logs.tail(deployment.name, _LAST_WORDS)],
        "model_file": os.path.join(deployment.model_dir, str(deployment.version), "model.py"),
    }


def _error_event(code: Code, message: str) -> Event:
    return {"event": "error", "code": code.name, "message": message, "exception": None, "frames": []}
