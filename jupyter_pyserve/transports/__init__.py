"""Ways in: each subpackage turns one protocol into calls of the engine's service; none knows another."""
