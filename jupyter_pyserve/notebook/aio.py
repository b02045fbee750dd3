"""`pyserve.aio`: the functions of `pyserve` for a running event loop, `await pyserve.aio.deploy(…)`.

Each works in a thread, so that the kernel's loop goes on meanwhile; whoever is cancelled stops waiting, and what the
engine has begun goes on. For inference that can be cancelled there are `model(name).infer_async` and `stream`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from jupyter_pyserve.notebook import api, calling, logbook, operations, standalone
from jupyter_pyserve.notebook.debugging import api as debugging
from jupyter_pyserve.notebook.measuring import api as measuring

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same arguments and the same answer, in a thread."""

    @functools.wraps(function)
    async def waits(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    return waits


bench = _awaited(measuring.bench)
debug = _awaited(debugging.debug)
deploy = _awaited(api.deploy)
drain = _awaited(operations.drain)
export = _awaited(api.export)
follow_logs = _awaited(logbook.follow_logs)
infer = _awaited(calling.infer)
kill = _awaited(operations.kill)
load = _awaited(operations.load)
logs = _awaited(logbook.logs)
models = _awaited(api.models)
record = _awaited(debugging.record)
recordings = _awaited(debugging.recordings)
replay = _awaited(debugging.replay)
restart = _awaited(operations.restart)
resume = _awaited(operations.resume)
rollback = _awaited(operations.rollback)
scale = _awaited(operations.scale)
serve = _awaited(standalone.serve)
share = _awaited(api.share)
stack = _awaited(debugging.stack)
status = _awaited(api.status)
undebug = _awaited(debugging.undebug)
undeploy = _awaited(operations.undeploy)
unload = _awaited(operations.unload)
unshare = _awaited(api.unshare)
