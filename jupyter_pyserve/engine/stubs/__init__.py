"""Stubs: their processes, the channels to them, which requests they hold, and what they ask."""
