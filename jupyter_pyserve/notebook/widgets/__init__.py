"""Live views in a cell's output: what the kernel keeps of them, and the scripts that draw them in a browser.

Nothing here is imported before the first view is shown.
"""
