"""Debugging models from a notebook: debuggers that attach, recorded requests, and running them again in the kernel."""
