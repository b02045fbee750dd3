"""A request as schedulers see it."""

from __future__ import annotations

from collections.abc import Hashable


class Item:
    """Plain attributes, compared by identity."""

    def __init__(
        self,
        name: str = "",
        *,
        batch_size: int = 1,
        shape_key: Hashable = None,
        priority: int = 0,
        timeout_us: int = 0,
        enqueue_ns: int = 0,
        correlation_id: int | str = 0,
        flags: int = 0,
    ) -> None:
        self.id = name
        self.batch_size = batch_size
        self.shape_key = shape_key
        self.priority = priority
        self.timeout_us = timeout_us
        self.enqueue_ns = enqueue_ns
        self.correlation_id = correlation_id
        self.flags = flags

    def __repr__(self) -> str:
        return f"Item({self.id!r}, batch_size={self.batch_size}, key={self.shape_key!r}, at={self.enqueue_ns})"
