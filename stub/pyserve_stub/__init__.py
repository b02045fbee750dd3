"""The process that runs one instance of a Triton-style Python model.

Imports the standard library and numpy only, because it must also run under the interpreter of a model's own
environment. It talks to the engine over one Unix socket and through memory that the engine handed over; it knows
nothing of HTTP, Jupyter or the engine's code.
"""
