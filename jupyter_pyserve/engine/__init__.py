"""Where effects live: repositories on disk, shared memory, processes, and the life of every model and request."""
