"""Processes that ask for inference over descriptors: kernels on a lane, and stubs."""
