"""Measurements beside a real Triton, in one run on one machine. Neither the product nor its tests import this."""
