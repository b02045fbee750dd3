"""A decoupled model: plain infer requests are refused before they reach it."""


class TritonPythonModel:
    def execute(self, requests):
        return None
