"""`python -m jupyter_pyserve` is the `pyserve` command."""

from __future__ import annotations

import sys

from jupyter_pyserve.cli import main

if __name__ == "__main__":
    sys.exit(main())
