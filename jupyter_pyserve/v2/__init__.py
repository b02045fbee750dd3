"""The Open Inference Protocol (v2, with Triton's extensions) as values and pure functions over bytes.

Does no I/O, reads no clock and knows neither transports nor the engine.
"""
