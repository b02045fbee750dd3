"""Traces of requests: which are sampled, what is noted of them on their way, and where that goes."""
