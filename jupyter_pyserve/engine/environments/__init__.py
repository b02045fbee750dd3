"""Execution environments: archives of interpreters, unpacked once, and what is started in them."""
