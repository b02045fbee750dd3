"""Measuring a served model from the notebook: requests in a closed loop, and what they took."""
