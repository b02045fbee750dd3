"""Loads, and cannot answer."""


class TritonPythonModel:
    pass
