"""Answers of a real Triton 2.51, request by request: the cases, the recorder, and the models they are asked of."""
