"""Which instance executes what, and when, where that depends on more than its own model's queue."""
