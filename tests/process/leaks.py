"""What must be as it was when a test is over: descriptors, processes, shared memory."""

from __future__ import annotations

import re
from collections import Counter

from tests.process import machine
from tests.process.engine import Engine
from tests.process.waiting import wait_until


class LeakCheck:
    """Remembers an engine without models, and compares."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._zygote = engine.zygote()
        self._descriptors = _kinds(engine.pid)
        self._zygote_descriptors = _kinds(self._zygote)
        self._log_nbytes = 0

    def check(self) -> None:
        """Every request has given its memory back; and when all models are unloaded, nothing is left of them."""
        engine = self._engine
        assert engine.process.poll() is None, engine.log.read_text()
        wait_until(lambda: not self._memory_in_use(), lambda: f"memory is given back: {self._memory_in_use()}")
        assert not {name for pid in [engine.pid, *engine.tree()] for name in machine.named_memory(pid)}
        for model in engine.models():
            engine.unload(model["name"])
        alone = [self._zygote]
        wait_until(lambda: engine.tree() == alone, lambda: f"only the zygote is left: {self._titles()}")
        wait_until(lambda: not self._opened(), lambda: f"descriptors are closed: {self._opened()}")
        wait_until(
            lambda: _kinds(self._zygote) == self._zygote_descriptors,
            lambda: f"the zygote holds nothing: {machine.descriptors(self._zygote)}",
        )
        unexpected = self._tracebacks()
        assert not unexpected, unexpected

    def _memory_in_use(self) -> dict[str, object]:
        held: dict[str, object] = {}
        for model in self._engine.models():
            for version in model["versions"]:
                if version.get("arena_used_bytes") or version.get("outstanding"):
                    held[f"{model['name']} {version['version']}"] = version
            for instance in model["instances"]:
                if instance["arena_used_bytes"] and instance["state"] in ("READY", "BUSY"):
                    held[instance["name"]] = instance["arena_used_bytes"]
        return held

    def _tracebacks(self) -> str:
        """What the engine itself did not expect; tracebacks of models are marked with their instance's name."""
        text = self._engine.log.read_text()[self._log_nbytes :]
        self._log_nbytes += len(text)
        return text if re.search(r"^Traceback", text, re.MULTILINE) else ""

    def _titles(self) -> list[str]:
        return [f"{pid} {machine.state(pid)} {machine.title(pid)}" for pid in self._engine.tree()]

    def _opened(self) -> Counter[str]:
        return _kinds(self._engine.pid) - self._descriptors


def _kinds(pid: int) -> Counter[str]:
    # An engine that has once had a model with an environment keeps its folder for such things, and the lock on it.
    found = (item for item in machine.descriptors(pid) if "/pyserve-engine-" not in item)
    return Counter(re.sub(r"\[\d+\]", "", item) for item in found)
