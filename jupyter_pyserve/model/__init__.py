"""What a model is: configuration, life cycles, batching decisions and counters, all as values.

Everything here is pure: no input or output, no clock, no event loop. Time is an argument, effects are the engine's.
"""
