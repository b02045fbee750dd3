"""Who reads a socket that several threads and event loops wait for: one at a time, and it reads for all.

No wake-up is lost: whoever waits says so before it looks whether somebody reads, and whoever stops reading looks at
that afterwards. Knows nothing of what is read.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Callable


class Turns:
    """The right to read."""

    __slots__ = ("_changed", "_reading", "_waiting")

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0

    def try_take(self) -> bool:
        """Take the right to read, if nobody has it."""
        return self._reading.acquire(blocking=False)

    def take(self, done: Callable[[], object], end_s: float = math.inf) -> bool:
        """Wait for it; False when somebody else has read what was waited for, or it is late."""
        with self._changed:
            self._waiting += 1
            try:
                while not done():
                    if self.try_take():
                        return True
                    left_s = end_s - time.monotonic()
                    if left_s <= 0:
                        break
                    self._changed.wait(left_s if left_s < math.inf else None)
            finally:
                self._waiting -= 1
        return False

    def give_up(self) -> None:
        """Let another read."""
        self._reading.release()
        self.tell()

    def tell(self) -> None:
        """Something that others wait for may be there."""
        if self._waiting:
            with self._changed:
                self._changed.notify_all()
