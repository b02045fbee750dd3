"""Memory that processes share: what the engine makes, and what clients have made and named."""
