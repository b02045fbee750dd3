"""The lane: inference from a process on the same machine over shared memory, without HTTP."""
